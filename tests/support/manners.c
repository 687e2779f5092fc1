/* Runs a command whose system calls answer as they do on other file systems.
 *
 *   manners MANNER,MANNER... COMMAND...
 *
 *   link-times  times of symlinks cannot be set (sshfs)
 *   read-sync   what is open for reading only cannot be synced (CIFS), nor can directories
 *   types       directories do not tell what their entries are (old XFS)
 *   moves       directories cannot be renamed (lower layers of overlays)
 *   modes       everything has mode 0777, and setting it does nothing (drvfs, CIFS)
 *   chmod       setting modes is refused (exFAT of another owner)
 *   no-x        everything has mode 0666, and setting it does nothing
 *   symlinks    there are none
 *   links       there are no hard links
 *   case        names in capitals are found where there are the same in small letters
 *
 * A filter (seccomp_unotify(2)) hands the calls to this program, which answers in the kernel's place. */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/stat.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

static const char *manners;

static void check(int bad, const char *what) {
	if (bad) {
		fprintf(stderr, "manners: %s: %s\n", what, strerror(errno));
		exit(125);
	}
}

static int has(const char *manner) {
	size_t length = strlen(manner);
	for (const char *at = manners; (at = strstr(at, manner)) != NULL; at += length)
		if ((at == manners || at[-1] == ',') && (at[length] == ',' || at[length] == 0))
			return 1;
	return 0;
}

/* The calls that this program answers. */
static const int calls[] = {
	SYS_utimensat, SYS_fsync, SYS_fdatasync, SYS_getdents64, SYS_renameat2, SYS_renameat,
	SYS_fchmod, SYS_fchmodat, SYS_fchmodat2, SYS_symlinkat, SYS_linkat, SYS_statx, SYS_fstat,
	SYS_newfstatat,
#ifdef SYS_rename
	SYS_rename, SYS_chmod, SYS_symlink, SYS_link, SYS_stat, SYS_lstat,
#endif
};
enum { COUNT = sizeof calls / sizeof *calls };

static int listen_to_calls(void) {
	struct sock_filter code[COUNT + 3];
	unsigned at = 0;
	code[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (unsigned i = 0; i < COUNT; i++)
		code[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[i], COUNT - i, 0);
	code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
	struct sock_fprog program = {at, code};
	check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0, "no_new_privs");
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
}

/* A descriptor of the thread, opened anew: enough to look at it. */
static int look(pid_t thread, int number) {
	char path[64];
	if (number == AT_FDCWD)
		snprintf(path, sizeof path, "/proc/%d/cwd", thread);
	else
		snprintf(path, sizeof path, "/proc/%d/fd/%d", thread, number);
	return open(path, O_PATH | O_CLOEXEC);
}

/* The same descriptor, with its offset. */
static int share(pid_t thread, int number) {
	char path[64], line[256];
	pid_t process = thread;
	snprintf(path, sizeof path, "/proc/%d/status", thread);
	FILE *file = fopen(path, "re");
	while (file != NULL && fgets(line, sizeof line, file) != NULL)
		sscanf(line, "Tgid: %d", &process);
	if (file != NULL)
		fclose(file);
	int handle = syscall(SYS_pidfd_open, process, 0);
	int shared = syscall(SYS_pidfd_getfd, handle, number, 0);
	close(handle);
	return shared;
}

static int read_path(pid_t thread, uint64_t address, char *path, size_t size) {
	/* It may end just before a page that is not there. */
	for (size_t at = 0; at < size; at++) {
		struct iovec here = {path + at, 1}, there = {(void *)(uintptr_t)(address + at), 1};
		if (process_vm_readv(thread, &here, 1, &there, 1, 0) != 1)
			return -1;
		if (path[at] == 0)
			return 0;
	}
	return -1;
}

static void write_there(pid_t thread, uint64_t address, void *bytes, size_t size) {
	struct iovec here = {bytes, size}, there = {(void *)(uintptr_t)address, size};
	check(process_vm_writev(thread, &here, 1, &there, 1, 0) != (ssize_t)size, "write");
}

static mode_t shown(mode_t mode) {
	if (S_ISLNK(mode))
		return mode;
	if (has("modes"))
		return (mode & ~07777) | 0777;
	if (has("no-x"))
		return (mode & ~07777) | (S_ISDIR(mode) ? 0777 : 0666);
	return mode;
}

static int is_directory(pid_t thread, int at, uint64_t address) {
	char path[4096];
	struct stat found;
	int base = look(thread, at);
	int is = read_path(thread, address, path, sizeof path) == 0
		&& fstatat(base, path, &found, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(found.st_mode);
	close(base);
	return is;
}

/* Answers stat(2) and its like: 1 when `*answer` is the answer. */
static int stat_call(struct seccomp_notif *call, int64_t *answer, int at, uint64_t name, int flags,
	uint64_t buffer) {
	char path[4096] = "";
	struct stat found;
	if (name != 0 && read_path(call->pid, name, path, sizeof path) != 0)
		return 0;
	int base = look(call->pid, at);
	*answer = fstatat(base, path, &found, flags | AT_EMPTY_PATH) == 0 ? 0 : -errno;
	close(base);
	if (*answer == 0) {
		found.st_mode = shown(found.st_mode);
		write_there(call->pid, buffer, &found, sizeof found);
	}
	return 1;
}

static int statx_call(struct seccomp_notif *call, int64_t *answer) {
	char path[4096] = "";
	struct statx found;
	const __u64 *args = call->data.args;
	/* Some callers ask without a path whether there is such a call at all. */
	if (args[1] == 0 || args[4] == 0 || read_path(call->pid, args[1], path, sizeof path) != 0)
		return 0;
	int base = look(call->pid, args[0]);
	*answer = statx(base, path, args[2], args[3], &found) == 0 ? 0 : -errno;
	if (*answer == -ENOENT && has("case")) {
		char *name = strrchr(path, '/');
		for (name = name == NULL ? path : name; *name != 0; name++)
			*name = tolower(*name);
		*answer = statx(base, path, args[2], args[3], &found) == 0 ? 0 : -errno;
	}
	close(base);
	if (*answer == 0) {
		found.stx_mode = shown(found.stx_mode);
		write_there(call->pid, args[4], &found, sizeof found);
	}
	return 1;
}

/* Answers chmod(2): what is shown is so, whatever was asked for. */
static int mode_call(struct seccomp_notif *call, int64_t *answer, int at, uint64_t name) {
	char path[4096];
	if (read_path(call->pid, name, path, sizeof path) != 0)
		return 0;
	int base = look(call->pid, at);
	*answer = fchmodat(base, path, 0777, 0) != 0 ? -errno : 0;
	close(base);
	return 1;
}

static int entries_call(struct seccomp_notif *call, int64_t *answer) {
	static char bytes[1 << 20];
	const __u64 *args = call->data.args;
	int directory = share(call->pid, args[0]);
	size_t size = args[2] < sizeof bytes ? args[2] : sizeof bytes;
	*answer = syscall(SYS_getdents64, directory, bytes, size);
	if (*answer < 0)
		*answer = -errno;
	close(directory);
	for (int64_t at = 0; at < *answer;) {
		bytes[at + 18] = 0;
		uint16_t length;
		memcpy(&length, bytes + at + 16, sizeof length);
		at += length;
	}
	if (*answer > 0)
		write_there(call->pid, args[1], bytes, *answer);
	return 1;
}

/* Answers a call: 1 when `*answer` is the answer, 0 when the kernel is to. */
static int answer_call(struct seccomp_notif *call, int64_t *answer) {
	const __u64 *args = call->data.args;
	int changes_modes = has("modes") || has("no-x");
	*answer = 0;
	switch (call->data.nr) {
	case SYS_utimensat:
		*answer = -ENOSYS;
		return has("link-times") && (args[3] & AT_SYMLINK_NOFOLLOW) != 0;
	case SYS_fsync:
	case SYS_fdatasync: {
		struct stat found;
		int shared = share(call->pid, args[0]);
		int is_read_only = (fcntl(shared, F_GETFL) & O_ACCMODE) == O_RDONLY;
		*answer = fstat(shared, &found) == 0 && S_ISDIR(found.st_mode) ? -EINVAL : -EACCES;
		close(shared);
		return has("read-sync") && is_read_only;
	}
	case SYS_getdents64:
		return has("types") && entries_call(call, answer);
	case SYS_renameat:
	case SYS_renameat2:
		*answer = -EXDEV;
		return has("moves") && is_directory(call->pid, args[0], args[1]);
	case SYS_fchmod: {
		*answer = -EPERM;
		if (!changes_modes || has("chmod"))
			return has("chmod");
		int shared = share(call->pid, args[0]);
		fchmod(shared, 0777);
		close(shared);
		*answer = 0;
		return 1;
	}
	case SYS_fchmodat:
	case SYS_fchmodat2:
		*answer = -EPERM;
		return has("chmod") || (changes_modes && mode_call(call, answer, args[0], args[1]));
	case SYS_symlinkat:
		*answer = -EPERM;
		return has("symlinks");
	case SYS_linkat:
		*answer = -EPERM;
		return has("links");
	case SYS_statx:
		return (changes_modes || has("case")) && statx_call(call, answer);
	case SYS_fstat:
		return changes_modes && stat_call(call, answer, args[0], 0, 0, args[1]);
	case SYS_newfstatat:
		return changes_modes && stat_call(call, answer, args[0], args[1], args[3], args[2]);
#ifdef SYS_rename
	case SYS_rename:
		*answer = -EXDEV;
		return has("moves") && is_directory(call->pid, AT_FDCWD, args[0]);
	case SYS_chmod:
		*answer = -EPERM;
		return has("chmod") || (changes_modes && mode_call(call, answer, AT_FDCWD, args[0]));
	case SYS_symlink:
		*answer = -EPERM;
		return has("symlinks");
	case SYS_link:
		*answer = -EPERM;
		return has("links");
	case SYS_stat:
		return changes_modes && stat_call(call, answer, AT_FDCWD, args[0], 0, args[1]);
	case SYS_lstat:
		return changes_modes && stat_call(call, answer, AT_FDCWD, args[0], AT_SYMLINK_NOFOLLOW, args[1]);
#endif
	}
	return 0;
}

static void serve(int listener) {
	for (;;) {
		struct pollfd wait = {listener, POLLIN, 0};
		if (poll(&wait, 1, -1) < 0 && errno == EINTR)
			continue;
		if ((wait.revents & POLLIN) == 0)
			return;
		struct seccomp_notif call = {0};
		struct seccomp_notif_resp response = {0};
		int64_t answer;
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) != 0)
			continue;
		response.id = call.id;
		if (!answer_call(&call, &answer))
			response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		else if (answer < 0)
			response.error = answer;
		else
			response.val = answer;
		/* The thread may have been killed meanwhile. */
		ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
	}
}

int main(int count, char **arguments) {
	int there[2], back[2], number, status;
	check(count < 3, "no command");
	manners = arguments[1];
	check(pipe(there) != 0 || pipe(back) != 0, "pipe");
	pid_t child = fork();
	check(child < 0, "fork");
	if (child == 0) {
		number = listen_to_calls();
		check(number < 0, "seccomp");
		check(write(there[1], &number, sizeof number) != sizeof number, "write");
		check(read(back[0], &number, sizeof number) != sizeof number, "read");
		for (int descriptor = 3; descriptor < 64; descriptor++)
			close(descriptor);
		execvp(arguments[2], arguments + 2);
		check(1, arguments[2]);
	}
	close(there[1]);
	check(read(there[0], &number, sizeof number) != sizeof number, "read");
	int listener = share(child, number);
	check(listener < 0, "the child's listener");
	check(write(back[1], &number, sizeof number) != sizeof number, "write");
	serve(listener);
	check(waitpid(child, &status, 0) != child, "wait");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
