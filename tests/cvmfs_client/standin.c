/* Stands for the CernVM-FS client and keeps its rules strictly: a program that loads what it is from its library path, that
 * from another library, and that needs libfuse's; a shell reads the configuration; and a file system that is really
 * mounted, by FUSE, shows a directory of this machine. Each define makes one part. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(PROGRAM) || defined(STUB)

/* By the library path, or where the packages have it; never by name alone. */
static void *load(const char *name, const char *symbol)
{
    const char *own = getenv("CVMFS_LIBRARY_PATH");
    const char *places[] = {own ? own : ".", "/usr/lib", "/usr/lib64"};
    char path[4096];
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", places[i], name);
        void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (library)
            return dlsym(library, symbol);
    }
    fprintf(stderr, "Error: failed to load cvmfs library, tried: %s: %s\n", path, dlerror());
    exit(1);
}

#endif
#ifdef PROGRAM

int main(int argc, char **argv)
{
    int (*run)(int, char **) = load("libcvmfs_fuse3_stub.so", "stub_main");
    return run(argc, argv);
}

#elif defined(STUB)

int stub_main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        puts("CernVM-FS version " VERSION);
        return 0;
    }
    int (*run)(int, char **) = load("libcvmfs_fuse3.so", "fuse_main");
    return run(argc, argv);
}

#elif defined(FUSE)

int standin_libfuse(void) { return 3; }

#else

int standin_libfuse(void);

static void fail(int status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    exit(status);
}

/* The settings, as a shell understands them. */
static char names[256][64], *values[256];
static int count;

static const char *get(const char *name)
{
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return values[i];
    return "";
}

static void know(const char *line)
{
    char name[64];
    int at = 0, length = 0;
    while (line[at] == ' ')
        at++;
    if (strncmp(line + at, "readonly ", 9) == 0)
        at += 9;
    else if (strncmp(line + at, "export ", 7) == 0)
        at += 7;
    if (sscanf(line + at, "%63[A-Z0-9_]%n=", name, &length) != 1 || line[at + length] != '=')
        return;
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return;
    strcpy(names[count++], name);
}

static void read_config(const char *path, const char *repository)
{
    char line[65536], said[4200], command[4300];
    FILE *file = fopen(path, "r"), *shell;
    if (!file)
        fail(3, "no configuration %s", path);
    if (strpbrk(path, " ,:'$"))
        fail(3, "%s cannot be a word of options", path);
    snprintf(said, sizeof said, "%s.said", path);
    snprintf(command, sizeof command, "/bin/sh >%s", said);
    shell = popen(command, "w");
    while (fgets(line, sizeof line, file)) {
        know(line);
        fputs(line, shell);
    }
    for (int i = 0; i < count; i++)
        fprintf(shell, "\necho $%s\n", names[i]);
    if (pclose(shell) != 0)
        fail(3, "the shell does not understand %s", path);
    fclose(file);
    file = fopen(said, "r");
    for (int i = 0; i < count; i++) {
        char *at;
        if (!fgets(line, sizeof line, file))
            fail(3, "nothing is said of %s", names[i]);
        line[strcspn(line, "\n")] = 0;
        if ((at = strstr(line, "@fqrn@"))) {
            char whole[65536];
            snprintf(whole, sizeof whole, "%.*s%s%s", (int)(at - line), line, repository, at + 6);
            strcpy(line, whole);
        }
        values[i] = strdup(line);
    }
    fclose(file);
    unlink(said);
}

/* Whether the file at `path` is the key that `repository` is signed by. */
static int is_key(const char *path, const char *of)
{
    char one[256] = "", two[256] = "";
    FILE *file = fopen(path, "r"), *key = fopen(of, "r");
    if (!file || !key)
        return 0;
    if (!fgets(one, sizeof one, file) || !fgets(two, sizeof two, key))
        return 0;
    return strcmp(one, two) == 0;
}

static int has_key(const char *of)
{
    char path[8192], *all, *one;
    const char *directory = get("CVMFS_KEYS_DIR");
    if (*get("CVMFS_PUBLIC_KEY")) {
        all = strdup(get("CVMFS_PUBLIC_KEY"));
        while ((one = strsep(&all, ":")))
            if (is_key(one, of))
                return 1;
        return 0;
    }
    DIR *keys = opendir(directory);
    struct dirent *entry;
    while (keys && (entry = readdir(keys))) {
        snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        if (strstr(entry->d_name, ".pub") && is_key(path, of))
            return 1;
    }
    return 0;
}

/* A file system that shows a directory. */
static char root[4096], *nodes[4096];
static uint64_t node_count = 2;
static int device;
static const char *mounted;

static const char *node(uint64_t id) { return id == 1 ? root : nodes[id]; }

static void answer(uint64_t unique, int error, const void *data, size_t size)
{
    static char out[300000];
    struct fuse_out_header *header = (void *)out;
    header->len = sizeof *header + size;
    header->error = error;
    header->unique = unique;
    if (size)
        memcpy(out + sizeof *header, data, size);
    if (write(device, out, header->len) < 0 && errno != ENOENT)
        exit(9);
}

static int attributes(const char *path, uint64_t id, struct fuse_attr *to)
{
    struct stat about;
    if (lstat(path, &about) != 0)
        return -errno;
    memset(to, 0, sizeof *to);
    to->ino = id;
    to->size = about.st_size;
    to->mode = about.st_mode & ~0222;
    to->nlink = 1;
    to->uid = getuid();
    to->gid = getgid();
    return 0;
}

static void serve(void)
{
    static char in[300000], data[270000];
    ssize_t length;
    while ((length = read(device, in, sizeof in)) > 0 || errno == EINTR || errno == ENOENT) {
        struct fuse_in_header *header = (void *)in;
        void *body = in + sizeof *header;
        if (length <= 0)
            continue;
        switch (header->opcode) {
        case FUSE_INIT: {
            struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION,
                                        .max_readahead = 65536, .max_write = 65536};
            answer(header->unique, 0, &out, sizeof out);
            break;
        }
        case FUSE_LOOKUP: {
            struct fuse_entry_out out = {0};
            char path[8192];
            snprintf(path, sizeof path, "%s/%s", node(header->nodeid), (char *)body);
            int error = node_count < 4096 ? attributes(path, node_count, &out.attr) : -ENFILE;
            if (error == 0) {
                nodes[node_count] = strdup(path);
                out.nodeid = node_count++;
            }
            answer(header->unique, error, &out, error ? 0 : sizeof out);
            break;
        }
        case FUSE_GETATTR: {
            struct fuse_attr_out out = {0};
            int error = attributes(node(header->nodeid), header->nodeid, &out.attr);
            answer(header->unique, error, &out, error ? 0 : sizeof out);
            break;
        }
        case FUSE_OPEN:
        case FUSE_OPENDIR: {
            struct fuse_open_out out = {0};
            answer(header->unique, 0, &out, sizeof out);
            break;
        }
        case FUSE_READ: {
            struct fuse_read_in *asked = body;
            int file = open(node(header->nodeid), O_RDONLY);
            ssize_t size = pread(file, data, asked->size < sizeof data ? asked->size : sizeof data, asked->offset);
            close(file);
            answer(header->unique, size < 0 ? -EIO : 0, data, size < 0 ? 0 : size);
            break;
        }
        case FUSE_READDIR: {
            struct fuse_read_in *asked = body;
            size_t size = 0, number = 0;
            DIR *directory = opendir(node(header->nodeid));
            struct dirent *entry;
            while (directory && (entry = readdir(directory))) {
                struct fuse_dirent *to = (void *)(data + size);
                size_t whole = FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + strlen(entry->d_name));
                if (++number <= asked->offset || size + whole > asked->size)
                    continue;
                memset(to, 0, whole);
                to->ino = entry->d_ino;
                to->off = number;
                to->namelen = strlen(entry->d_name);
                to->type = entry->d_type;
                memcpy(to->name, entry->d_name, to->namelen);
                size += whole;
            }
            if (directory)
                closedir(directory);
            answer(header->unique, 0, data, size);
            break;
        }
        case FUSE_RELEASE:
        case FUSE_RELEASEDIR:
        case FUSE_FLUSH:
            answer(header->unique, 0, NULL, 0);
            break;
        case FUSE_FORGET:
        case FUSE_BATCH_FORGET:
        case FUSE_INTERRUPT:
            break;
        case FUSE_DESTROY:
            answer(header->unique, 0, NULL, 0);
            exit(0);
        default:
            answer(header->unique, -ENOSYS, NULL, 0);
        }
    }
}

static void end(int signal)
{
    (void)signal;
    if (umount2(mounted, MNT_DETACH) != 0 && fork() == 0) {
        execlp("fusermount3", "fusermount3", "-u", "-q", "-z", "--", mounted, (char *)NULL);
        _exit(1);
    }
    wait(NULL);
    _exit(0);
}

/* As libfuse does: by itself where it may, else by the setuid helper. */
static void mount_fuse(const char *directory)
{
    char options[128];
    device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (device < 0)
        fail(4, "fuse: failed to open /dev/fuse: %s", strerror(errno));
    snprintf(options, sizeof options, "fd=%i,rootmode=40000,user_id=%u,group_id=%u", device, getuid(), getgid());
    if (mount("cvmfs2", directory, "fuse", MS_NOSUID | MS_NODEV | MS_RDONLY, options) == 0)
        return;
    int pair[2], status;
    char number[16], byte, control[CMSG_SPACE(sizeof(int))];
    if (errno != EPERM || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
        fail(4, "fuse: mount failed: %s", strerror(errno));
    close(device);
    snprintf(number, sizeof number, "%i", pair[0]);
    if (fork() == 0) {
        setenv("_FUSE_COMMFD", number, 1);
        execlp("fusermount3", "fusermount3", "-o", "ro,nosuid,nodev", "--", directory, (char *)NULL);
        fail(4, "fuse: failed to exec fusermount3: %s", strerror(errno));
    }
    close(pair[0]);
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    if (recvmsg(pair[1], &message, 0) != 1 || !CMSG_FIRSTHDR(&message))
        fail(4, "fuse: fusermount3 does not mount");
    memcpy(&device, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof device);
    wait(&status);
}

int fuse_main(int argc, char **argv)
{
    char path[8192], *config = NULL, *option, *options;
    const char *repository, *url;
    int parses = 0, foreground = 0, c, lock;
    FILE *log;
    if (standin_libfuse() != 3)
        return 1;
    while ((c = getopt(argc, argv, "fo:")) != -1) {
        foreground |= c == 'f';
        for (options = c == 'o' ? optarg : NULL; options && (option = strsep(&options, ","));) {
            if (strcmp(option, "parse") == 0)
                parses = 1;
            else if (strncmp(option, "config=", 7) == 0)
                config = option + 7;
            else
                fail(1, "unknown option %s", option);
        }
    }
    if (argc != optind + 2 || !config || parses == foreground)
        fail(1, "Usage: cvmfs2 [-f] -o OPTIONS REPOSITORY DIRECTORY");
    repository = argv[optind];
    mounted = argv[optind + 1];
    read_config(config, repository);
    if (parses) {
        puts("# CernVM-FS parameters:");
        for (int i = 0; i < count; i++)
            printf(strpbrk(values[i], " ;|'=+@") || !*values[i] ? "%s='%s'    # from %s\n" : "%s=%s    # from %s\n",
                   names[i], values[i], config);
        return 0;
    }
    if (access(mounted, F_OK) != 0)
        fail(6, "Mount point %s does not exist", mounted);
    if ((log = fopen(get("CVMFS_USYSLOG"), "a"))) {
        fprintf(log, "(%s) proxies %s\n", repository, get("CVMFS_HTTP_PROXY"));
        fclose(log);
    }
    snprintf(path, sizeof path, "%s/cvmfs.%s", get("CVMFS_RELOAD_SOCKETS"), repository);
    if ((lock = open(path, O_CREAT | O_WRONLY, 0600)) < 0)
        fail(7, "Failed to initialize loader socket");
    snprintf(path, sizeof path, "%s/shared", get("CVMFS_CACHE_BASE"));
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        fail(8, "cannot create workspace directory %s", path);
    snprintf(path, sizeof path, "%s/shared/lock.%s", get("CVMFS_CACHE_BASE"), repository);
    lock = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (lock < 0 || flock(lock, LOCK_EX | LOCK_NB) != 0)
        fail(0, "CernVM-FS: repository %s already mounted on %s", repository, mounted);
    if (!*get("CVMFS_HTTP_PROXY"))
        fail(2, "CVMFS_HTTP_PROXY required");
    url = get("CVMFS_SERVER_URL");
    if (strncmp(url, "file://", 7) != 0)
        fail(2, "no host of %s answers: '%s'", repository, url);
    snprintf(root, sizeof root, "%s", url + 7);
    snprintf(path, sizeof path, "%s.key", root);
    if (!has_key(path))
        fail(10, "failed to verify repository signature manifest of %s", repository);
    signal(SIGTERM, end);
    mount_fuse(mounted);
    serve();
    return 0;
}

#endif
