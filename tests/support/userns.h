/* What the programs that run commands on a changed machine share. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void check(int bad, const char *what) {
	if (bad) {
		fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
		exit(125);
	}
}

static void write_file(const char *name, const char *text) {
	int file = open(name, O_WRONLY | O_CLOEXEC);
	check(file < 0 || write(file, text, strlen(text)) < 0, name);
	close(file);
}

/* Enters a new user namespace in which this process's user and group are `user` and `group`. */
static void enter(unsigned user, unsigned group, int more) {
	unsigned outside_user = geteuid(), outside_group = getegid();
	char line[64];
	check(unshare(CLONE_NEWUSER | more) != 0, "user namespace");
	write_file("/proc/self/setgroups", "deny");
	snprintf(line, sizeof line, "%u %u 1", user, outside_user);
	write_file("/proc/self/uid_map", line);
	snprintf(line, sizeof line, "%u %u 1", group, outside_group);
	write_file("/proc/self/gid_map", line);
}
