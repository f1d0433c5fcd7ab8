/* SPDX-License-Identifier: MIT */
/* The stage of net_life.c and what its scenarios do on it. */
#ifndef RONDO_TESTS_NET_LIFE_H
#define RONDO_TESTS_NET_LIFE_H

#include <stdio.h>

#include <rondo/pipe.h>
#include <rondo/sendfile.h>
#include <rondo/unix_socket.h>

#include "unix_peer.h"

enum { MAX_CONNS = 8 };

struct conn {
    char name;
    bool has_ended;
    rondo_transport *transport; /* NULL before connection_made */
};

typedef rondo_future *begin_fn(void);

/* What a task waits for. */
struct waiting {
    const char *name;
    begin_fn *begin;
    bool shows_number;
};

struct stage {
    rondo_loop *loop;
    rondo_unix_server_options server_options;
    rondo_server *server;
    const char *path;
    struct conn conns[MAX_CONNS];
    rondo_socket peers[MAX_CONNS]; /* or ends of pipes */
    struct waiting waiting[MAX_CONNS];
    rondo_task *tasks[MAX_CONNS];
    FILE *files[MAX_CONNS];
    size_t conn_count, peer_count, task_count, file_count, words;
    void (*on_factory)(struct conn *conn);
    void (*on_made)(struct conn *conn);
    void (*on_data)(struct conn *conn);
    void (*on_lost)(struct conn *conn);
    bool factory_fails, is_over;
};

extern struct stage stage;

struct life {
    const char *name;
    void (*play)(int number);
    int number;
    bool selector_only; /* a proactor accepts and connects in other passes, and may have received already */
};

extern const struct life scenarios[];
extern const size_t scenario_count;

_Noreturn void die(const char *what);
void say(const char *format, ...) RONDO_PRINTF(1, 2);
void passes(int count);
/* A task that waits for what @begin gives, and says how it ended; the second one, with the number. */
rondo_task *spawn(const char *name, begin_fn *begin);
rondo_task *spawn_counted(const char *name, begin_fn *begin);
/* A call that says @word and goes on with @function, which may be NULL. */
void soon(const char *word, void (*function)(void));

rondo_protocol *make(void *context); /* the factory */
rondo_future *create_server(void);
void serve(void);
void connect_peers(int count);
void state(void);

rondo_socket pair(void); /* our end; the other one is a peer */
rondo_future *create_connection(rondo_socket sock);
rondo_transport *open_one(void);
void close_peer(size_t index);
void drain(void); /* read from peer 0 until nothing comes any more */

/* net_life_files.c */
void file_small(int number);
void file_counted(int number);
void file_empty(int number);
void sock_file_counted(int number);
void file_behind_writes(int number);
void file_then_write(int number);
void file_and_refused_write(int number);
void file_and_data(int number);
void file_and_paused_data(int number);
void file_and_resumed(int number);
void file_and_end(int number);
void file_and_peer_gone(int number);
void file_cancelled(int number);
void file_closing(int number);
void file_marks(int number);
void file_then_close(int number);
void file_then_eof(int number);
void files_in_a_row(int number);

#endif
