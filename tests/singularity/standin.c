/* Stands for SingularityCE as distributions build it, and keeps its rules strictly: everything is at the places that
 * were compiled in, or nothing works. With STARTER it is what makes the container. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONF "/etc/singularity/singularity.conf"
#define ECL "/etc/singularity/ecl.toml"
#define SESSION "/var/lib/singularity/mnt/session"
#define BIN "/usr/libexec/singularity/bin/"

static void fatal(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("FATAL:   ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    exit(255);
}

#ifdef STARTER

static void put(const char *path, const char *text)
{
    int file = open(path, O_WRONLY);
    if (file < 0 || write(file, text, strlen(text)) < 0)
        fatal("while writing %s", path);
    close(file);
}

/* Everything is found from here, before and after it has namespaces of its own. */
static void know_yourself(void)
{
    char path[4096] = "";
    if (readlink("/proc/self/exe", path, sizeof path - 1) < 0 || strcmp(path, BIN "starter") != 0
        || access(path, X_OK) != 0)
        fatal("failed to resolve session directory: this is %s", path);
}

int main(int argc, char **argv)
{
    char map[64];
    uid_t user = geteuid();
    gid_t group = getegid();
    struct stat session;
    if (argc < 3)
        fatal("the starter is for singularity");
    know_yourself();
    if (stat(SESSION, &session) != 0 || !S_ISDIR(session.st_mode))
        fatal("while checking %s", SESSION);
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
        fatal("failed to create user namespace");
    know_yourself();
    put("/proc/self/setgroups", "deny");
    snprintf(map, sizeof map, "%u %u 1", user, user);
    put("/proc/self/uid_map", map);
    snprintf(map, sizeof map, "%u %u 1", group, group);
    put("/proc/self/gid_map", map);
    if (mount("tmpfs", SESSION, "tmpfs", MS_NOSUID, "mode=1777") != 0
        || mkdir(SESSION "/final", 0755) != 0
        || mount(argv[1], SESSION "/final", NULL, MS_BIND | MS_REC, NULL) != 0
        || chroot(SESSION "/final") != 0 || chdir("/") != 0)
        fatal("container creation failed: mount %s", argv[1]);
    execv(argv[2], argv + 2);
    fatal("exec %s failed", argv[2]);
}

#else

/* Whether the configuration, which must be there, lets setuid be used: so unless it says no. */
static int allows_setuid(void)
{
    char line[4096];
    int allows = 1;
    FILE *conf = fopen(CONF, "r");
    if (!conf)
        fatal("couldn't parse configuration file %s", CONF);
    while (fgets(line, sizeof line, conf)) {
        if (strncmp(line, "allow setuid = ", 15) == 0)
            allows = strncmp(line + 15, "yes", 3) == 0;
        if (strncmp(line, "mksquashfs path = /", 19) == 0)
            fatal("mksquashfs is where it was when this was built");
    }
    fclose(conf);
    return allows;
}

/* Where PATH has `name`; nothing else is looked for. */
static const char *find(const char *name)
{
    static char found[4096];
    char *path = strdup(getenv("PATH")), *directory;
    while ((directory = strsep(&path, ":"))) {
        snprintf(found, sizeof found, "%s/%s", directory, name);
        if (access(found, X_OK) == 0)
            return found;
    }
    return NULL;
}

int main(int argc, char **argv)
{
    int at = 2, needs_setuid;
    struct stat suid;
    if (argc > 1 && strcmp(argv[1], "--version") == 0) {
        puts("singularity-ce version " VERSION "-1.el8");
        return 0;
    }
    needs_setuid = allows_setuid();
    if (argc > 1 && strcmp(argv[1], "buildcfg") == 0) {
        puts("SESSIONDIR=" SESSION);
        return 0;
    }
    /* As it mounts images, before there is a container, and without a helper that is setuid. */
    if (argc > 1 && strcmp(argv[1], "mount") == 0) {
        if (mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755") != 0)
            fatal("mount failed: Operation not permitted");
        puts("mounted");
        return 0;
    }
    if (argc > 2 && strcmp(argv[1], "find") == 0) {
        const char *found = find(argv[2]);
        puts(found ? found : "nowhere");
        return 0;
    }
    if (argc > 1 && strcmp(argv[1], "--quiet") == 0) {
        argc--;
        argv++;
    }
    if (argc < 4 || (strcmp(argv[1], "exec") != 0 && strcmp(argv[1], "run") != 0))
        fatal("unknown command");
    if (access(ECL, R_OK) != 0)
        fatal("execution is rejected: no %s", ECL);
    for (; at < argc && strncmp(argv[at], "--", 2) == 0; at++) {
        if (strcmp(argv[at], "--userns") == 0)
            needs_setuid = 0;
        if (strcmp(argv[at], "--oci") == 0 && (!find("conmon") || !find("crun")))
            fatal("conmon or crun is not found");
    }
    if (needs_setuid && (stat(BIN "starter-suid", &suid) != 0 || !(suid.st_mode & S_ISUID)))
        fatal("setuid installation not found, required by: singularity.conf");
    if (access("/usr/bin/singularity", X_OK) != 0)
        fatal("fork/exec /usr/bin/singularity: no such file or directory");
    execv(BIN "starter", argv + at - 1);
    fatal("failed to run %sstarter", BIN);
}

#endif
