/* Runs a command on a machine that lacks something.
 *
 *   sickroom OPTION... -- COMMAND...
 *
 * As root the mounts are the command's own; as anyone else they are made in a user namespace.
 *   --open-fuse          /dev/fuse is for everyone (root only)
 *   --bare-dev           /dev holds only null, zero and random numbers
 *   --bind FILE PLACE    FILE lies at PLACE
 *   --tmpfs PLACE FLAG   a tmpfs of 1 MiB, with FLAG noexec; or 4 GiB of room with FLAG roomy-noexec,
 *                        or half a GiB with FLAG tight
 *   --user ID            run as this user (root only)
 *   --no-namespaces      a user namespace in which max_user_namespaces is 0
 *   --refuse CALL        a seccomp filter answers EPERM to unshare or mount
 *   --files NUMBER       so many open files at most */
#include "userns.h"

#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

static void open_fuse(void) {
	check(mount("none", "/mnt", "tmpfs", 0, "size=64k,mode=755") != 0, "tmpfs on /mnt");
	umask(0);
	check(mknod("/mnt/fuse", S_IFCHR | 0666, makedev(10, 229)) != 0, "mknod /mnt/fuse");
	check(mount("/mnt/fuse", "/dev/fuse", NULL, MS_BIND, NULL) != 0, "bind over /dev/fuse");
	umask(022);
}

static void bare_dev(void) {
	const char *kept[] = {"null", "zero", "random", "urandom"};
	char from[64], to[64];
	check(mount("none", "/mnt", "tmpfs", 0, "size=64k,mode=755") != 0, "tmpfs on /mnt");
	for (unsigned i = 0; i < sizeof kept / sizeof *kept; i++) {
		snprintf(from, sizeof from, "/dev/%s", kept[i]);
		snprintf(to, sizeof to, "/mnt/%s", kept[i]);
		int file = open(to, O_CREAT | O_WRONLY, 0666);
		check(file < 0, to);
		close(file);
		check(mount(from, to, NULL, MS_BIND, NULL) != 0, to);
	}
	check(mount("/mnt", "/dev", NULL, MS_BIND | MS_REC, NULL) != 0, "bind over /dev");
}

static void refuse(const char *name) {
	unsigned call = strcmp(name, "unshare") == 0 ? SYS_unshare : SYS_mount;
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof code / sizeof *code, code};
	check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0, "no_new_privs");
	check(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0, "seccomp");
}

int main(int count, char **arguments) {
	unsigned user = geteuid(), group = getegid();
	int is_root = user == 0, no_namespaces = 0, next = 1;
	const char *refused = NULL;

	if (is_root)
		check(unshare(CLONE_NEWNS) != 0, "mount namespace");
	else
		enter(0, 0, CLONE_NEWNS);
	check(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0, "private mounts");
	for (; next < count && strcmp(arguments[next], "--") != 0; next++) {
		char **option = arguments + next;
		int left = count - next - 1;
		if (strcmp(*option, "--open-fuse") == 0) {
			open_fuse();
		} else if (strcmp(*option, "--bare-dev") == 0) {
			bare_dev();
		} else if (strcmp(*option, "--bind") == 0 && left >= 2) {
			check(mount(option[1], option[2], NULL, MS_BIND, NULL) != 0, option[2]);
			next += 2;
		} else if (strcmp(*option, "--tmpfs") == 0 && left >= 2) {
			int roomy = strcmp(option[2], "roomy-noexec") == 0;
			int flags = roomy || strcmp(option[2], "noexec") == 0 ? MS_NOEXEC : 0;
			int tight = strcmp(option[2], "tight") == 0;
			const char *data = roomy ? "size=4g,mode=1777"
				: tight ? "size=512m,mode=1777" : "size=1m,mode=1777";
			check(mount("none", option[1], "tmpfs", flags, data) != 0, option[1]);
			next += 2;
		} else if (strcmp(*option, "--user") == 0 && left >= 1) {
			if (is_root)
				user = group = strtoul(option[1], NULL, 10);
			next++;
		} else if (strcmp(*option, "--no-namespaces") == 0) {
			no_namespaces = 1;
		} else if (strcmp(*option, "--refuse") == 0 && left >= 1) {
			refused = option[1];
			next++;
		} else if (strcmp(*option, "--files") == 0 && left >= 1) {
			struct rlimit limit = {strtoul(option[1], NULL, 10), strtoul(option[1], NULL, 10)};
			check(setrlimit(RLIMIT_NOFILE, &limit) != 0, "setrlimit");
			next++;
		} else {
			errno = EINVAL;
			check(1, *option);
		}
	}
	if (is_root && user != 0) {
		check(setgroups(0, NULL) != 0 || setgid(group) != 0 || setuid(user) != 0, "setuid");
		check(prctl(PR_SET_DUMPABLE, 1) != 0, "prctl");
	} else if (!is_root) {
		enter(user, group, 0);
	}
	if (no_namespaces) {
		enter(user, group, 0);
		write_file("/proc/sys/user/max_user_namespaces", "0");
	}
	if (refused)
		refuse(refused);
	check(next + 1 >= count, "no command");
	execvp(arguments[next + 1], arguments + next + 1);
	check(1, arguments[next + 1]);
}
