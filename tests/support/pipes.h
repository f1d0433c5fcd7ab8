/* SPDX-License-Identifier: MIT */
/* Pipes, named pipes and terminals for tests, and transports over them. All functions fail the case where the system
 * refuses what they promise. The ends that are returned block, unless said otherwise. */
#ifndef RONDO_TESTS_PIPES_H
#define RONDO_TESTS_PIPES_H

#include "peer.h"

enum { PIPES_READ, PIPES_WRITE };

typedef enum pipes_kind { PIPES_PIPE, PIPES_FIFO, PIPES_SOCKET, PIPES_KINDS } pipes_kind;

/* Both ends: what is written to [PIPES_WRITE] is read from [PIPES_READ]. */
void pipes_open(pipes_kind kind, rondo_file ret_ends[2]);
/* A terminal in raw mode, and what a terminal's window is: the master. */
void pipes_open_terminal(rondo_file *ret_master, rondo_file *ret_terminal);
/* A file of @length pattern bytes, open for reading and without a name. */
rondo_file pipes_open_file(size_t length);

/* A device of zeros without end. */
rondo_file pipes_open_zeros(void);

void pipes_set_blocking(rondo_file file, bool blocks);
/* @file as it has to be for the loop whose turn it is; a proactor gets a blocking one. */
void pipes_prepare(rondo_file file);
void pipes_close(rondo_file file);
bool pipes_is_open(rondo_file file);

/* All of it, blocking. */
void pipes_write(rondo_file file, const void *data, size_t length);
void pipes_write_text(rondo_file file, const char *text);
/* What is there now: a count, 0 for the end, PEER_NOTHING. */
ptrdiff_t pipes_read_now(rondo_file file, void *data, size_t capacity);
/* Fill it up; returns with how many bytes. */
size_t pipes_fill(rondo_file file);

/* A transport over @file, prepared, made and running. */
void pipes_connect_read(rondo_loop *loop, net_conn *conn, rondo_file file);
void pipes_connect_write(rondo_loop *loop, net_conn *conn, rondo_file file);

#endif
