// SPDX-License-Identifier: MIT
// The same from C++: the headers, the initializers and the linkage.
#include <rondo.h>

#include <cstdio>

static int body(void *context)
{
    *static_cast<const char **>(context) = rondo_loop_backend_name(rondo_loop_running());
    return rondo_await(rondo_sleep(rondo_loop_running(), RONDO_MS(1)), nullptr);
}

int main()
{
    const char *backend = "none";
    rondo_loop_options options = RONDO_LOOP_OPTIONS;
    rondo_server_options server = RONDO_SERVER_OPTIONS;
    rondo_connection_options connection = RONDO_CONNECTION_OPTIONS;
    int rc = rondo_run(&options, body, &backend);
    std::printf("consumer in C++: %s, %s\n", backend, rondo_strerror(rc));
    return rc < 0 || server.size == 0 || connection.port != RONDO_NO_PORT;
}
