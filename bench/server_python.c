/* SPDX-License-Identifier: MIT */
/* uvloop and asyncio: the process becomes a Python interpreter with the server below. Taken is the first
 * python3, of the search path or of the system, that can import the module. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server.h"

static const char *const interpreters[] = { "python3", "/usr/bin/python3" };

static const char script[] = "import asyncio, socket, sys\n"
                             "class Echo(asyncio.Protocol):\n"
                             "    def connection_made(self, transport):\n"
                             "        self.transport = transport\n"
                             "    def data_received(self, data):\n"
                             "        self.transport.write(data)\n"
                             "class Datagrams(asyncio.DatagramProtocol):\n"
                             "    def connection_made(self, transport):\n"
                             "        self.transport = transport\n"
                             "    def datagram_received(self, data, address):\n"
                             "        self.transport.sendto(data, address)\n"
                             "async def main():\n"
                             "    loop = asyncio.get_running_loop()\n"
                             "    sock = socket.socket(fileno=int(sys.argv[1]))\n"
                             "    sock.setblocking(False)\n"
                             "    if sock.type == socket.SOCK_DGRAM:\n"
                             "        await loop.create_datagram_endpoint(Datagrams, sock=sock)\n"
                             "        await loop.create_future()\n"
                             "    create = loop.create_server\n"
                             "    if sock.family == socket.AF_UNIX:\n"
                             "        create = loop.create_unix_server\n"
                             "    server = await create(Echo, sock=sock, backlog=4096)\n"
                             "    await server.serve_forever()\n"
                             "if sys.argv[2] == 'uvloop':\n"
                             "    import uvloop\n"
                             "    uvloop.install()\n"
                             "asyncio.run(main())\n";

static bool can_import(const char *interpreter, const char *module)
{
    char command[64];
    snprintf(command, sizeof command, "import %s", module);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        int quiet = open("/dev/null", O_RDWR);
        if (quiet >= 0) {
            dup2(quiet, STDOUT_FILENO);
            dup2(quiet, STDERR_FILENO);
        }
        execlp(interpreter, interpreter, "-c", command, (char *) NULL);
        _exit(127);
    }
    int status = 1;
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static const char *find_interpreter(const char *module)
{
    for (size_t i = 0; i < sizeof interpreters / sizeof interpreters[0]; i++) {
        if (can_import(interpreters[i], module))
            return interpreters[i];
    }
    return NULL;
}

static bool available(const struct bench_server *server, char *reason, size_t capacity)
{
    if (find_interpreter(server->argument))
        return true;
    snprintf(reason, capacity, "no python3 that can import %s", server->argument);
    return false;
}

static int serve(const struct bench_server *server, const struct bench_job *job)
{
    const char *interpreter = find_interpreter(server->argument);
    char number[16];
    snprintf(number, sizeof number, "%d", job->socket);
    fcntl(job->socket, F_SETFD, 0); /* goes with us */
    if (interpreter)
        execlp(interpreter, interpreter, "-c", script, number, server->argument, (char *) NULL);
    fprintf(stderr, "%s: no python3 that can import %s\n", server->name, server->argument);
    return -1;
}

extern const struct bench_server bench_python_servers[];

const struct bench_server bench_python_servers[] = {
    { .name = "uvloop",
      .about = "Python: uvloop, a Protocol",
      .family = BENCH_PEER,
      .services = BENCH_TCP | BENCH_UNIX | BENCH_DATAGRAMS,
      .only_echo = true,
      .argument = "uvloop",
      .available = available,
      .serve = serve },
    { .name = "asyncio",
      .about = "Python: asyncio, a Protocol",
      .family = BENCH_PEER,
      .services = BENCH_TCP | BENCH_UNIX | BENCH_DATAGRAMS,
      .only_echo = true,
      .argument = "asyncio",
      .available = available,
      .serve = serve },
    { .name = NULL },
};
