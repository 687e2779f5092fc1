/* Starts a program itself again from memory, as crun and runc do to protect their own file. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>
extern char **environ;
static void again(char **argv) {
    if (getenv("AGAIN")) return;
    int from = open("/proc/self/exe", O_RDONLY), to = memfd_create("again", 0);
    while (sendfile(to, from, 0, 1 << 20) > 0) {}
    setenv("AGAIN", "1", 1);
    fexecve(to, argv, environ);
    _exit(1);
}
