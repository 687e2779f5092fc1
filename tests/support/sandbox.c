/* Runs a command as an ordinary user, in mounts of its own where things can be hidden.
 *
 *   sandbox [--alone | --beside SCRIPT] [--machine DIRECTORY] [--user ID] [--root] [--containers] [--no-tun]
 *       [--measure FILE] [--hide FILE]... [--read-only DIRECTORY]... [--] COMMAND...
 *
 * Started by root: --user says as whom the command runs. Started by anyone else: the mounts are
 * made in a user namespace, and the command runs as the caller. --hide puts an empty file over
 * FILE. With --root the command is root of a user namespace of its own, as `unshare -Urm` makes it.
 * With --measure the command's peak memory (the largest of its processes, in KiB) is written to FILE.
 * With --containers the kernel's second version of cgroups lies in its usual place, and everyone may open
 * /dev/net/tun, which is not there with --no-tun; both need real root.
 * Where /dev/fuse is for root alone (in some containers), a private node that everyone may open
 * is put over it. With --read-only nobody can write below DIRECTORY. With --alone, which comes first, there is
 * no network: no interface is up. With --beside there is loopback alone, and SCRIPT runs outside of all this but
 * for that network, until the command ends. With --machine, which comes before the others, DIRECTORY is the
 * whole world: another system's root directory, with this one's devices, /proc and /sys, and the working
 * directory at its own path. Needs nothing but libc, so that any other library can be hidden. */
#include "userns.h"

#include <grp.h>
#include <limits.h>
#include <net/if.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

/* Makes /dev/fuse usable for everyone in these mounts, where this is real root. */
static void open_fuse(void) {
	struct stat node;
	const char *scratch = "/mnt";
	if (stat("/dev/fuse", &node) == 0 && (node.st_mode & 0666) == 0666)
		return;
	check(mount("none", scratch, "tmpfs", 0, "size=64k,mode=755") != 0, "tmpfs on /mnt");
	umask(0);
	check(mknod("/mnt/fuse", S_IFCHR | 0666, makedev(10, 229)) != 0, "mknod /mnt/fuse");
	umask(022);
	check(mount("/mnt/fuse", "/dev/fuse", NULL, MS_BIND, NULL) != 0, "bind over /dev/fuse");
	check(umount2(scratch, MNT_DETACH) != 0, "unmount /mnt");
}

static void make_directories(char *path) {
	for (char *at = path + 1; *at != 0; at++)
		if (*at == '/') {
			*at = 0;
			check(mkdir(path, 0755) != 0 && errno != EEXIST, path);
			*at = '/';
		}
	check(mkdir(path, 0755) != 0 && errno != EEXIST, path);
}

/* Makes `root` these mounts' root. Not chroot: a process in one may make no user namespace. */
static void move_to(const char *root) {
	static const char *const lent[] = {"/proc", "/sys", "/dev", NULL};
	char here[PATH_MAX], there[2 * PATH_MAX];
	check(getcwd(here, sizeof here) == NULL, "working directory");
	check(mount(root, root, NULL, MS_BIND, NULL) != 0, root);
	for (const char *const *one = lent; *one != NULL; one++) {
		snprintf(there, sizeof there, "%s%s", root, *one);
		check(mount(*one, there, NULL, MS_BIND | MS_REC, NULL) != 0, there);
	}
	snprintf(there, sizeof there, "%s%s", root, here);
	make_directories(there);
	check(mount(here, there, NULL, MS_BIND, NULL) != 0, there);
	check(chdir(root) != 0, root);
	/* The old root comes to lie over the new one, and goes. */
	check(syscall(SYS_pivot_root, ".", ".") != 0, "pivot_root");
	check(umount2(".", MNT_DETACH) != 0, "unmount the old root");
	check(chdir(here) != 0, here);
}

/* What a host has on which people run containers; `has_tun`: everyone may make network devices. */
static void allow_containers(int has_tun) {
	check(mount("none", "/sys/fs/cgroup", "cgroup2", 0, NULL) != 0, "cgroups");
	check(mount("none", "/dev/net", "tmpfs", 0, "size=64k,mode=755") != 0, "tmpfs on /dev/net");
	umask(0);
	if (has_tun)
		check(mknod("/dev/net/tun", S_IFCHR | 0666, makedev(10, 200)) != 0, "mknod /dev/net/tun");
	umask(022);
}

/* Ends as `child` ends. */
static void end_as(pid_t child, pid_t other) {
	int status;
	check(waitpid(child, &status, 0) != child, "waitpid");
	kill(other, SIGKILL);
	exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

/* Turns on loopback, runs `script` there, and lets a child go on: when that ends, both do. */
static void start_beside(const char *script) {
	struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	check(any < 0 || ioctl(any, SIOCSIFFLAGS, &loopback) != 0, "loopback");
	close(any);
	pid_t beside = fork();
	check(beside < 0, "fork");
	if (beside == 0) {
		check(prctl(PR_SET_PDEATHSIG, SIGKILL) != 0, "prctl");
		/* Whoever waits for the last word of the command does not wait for this. */
		check(freopen("/dev/null", "w", stdout) == NULL || freopen("/dev/null", "w", stderr) == NULL, "/dev/null");
		execl("/bin/sh", "sh", "-c", script, (char *)NULL);
		_exit(127);
	}
	pid_t child = fork();
	check(child < 0, "fork");
	if (child != 0)
		end_as(child, beside);
}

static void protect(const char *directory) {
	check(mount(directory, directory, NULL, MS_BIND, NULL) != 0, directory);
	check(mount(NULL, directory, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) != 0, directory);
}

static void hide(const char *file, const char *empty) {
	check(mount(empty, file, NULL, MS_BIND, NULL) != 0, file);
}

/* Lets a child go on, and ends as it ends, when its peak memory is written to `report`. */
static void measure(const char *report) {
	struct rusage usage;
	int status;
	pid_t child = fork();
	check(child < 0, "fork");
	if (child == 0)
		return;
	check(wait4(child, &status, 0, &usage) != child, "wait4");
	FILE *file = fopen(report, "w");
	check(file == NULL || fprintf(file, "%ld\n", usage.ru_maxrss) < 0 || fclose(file) != 0, report);
	exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

int main(int count, char **arguments) {
	unsigned user = geteuid(), group = getegid();
	char empty[] = "/tmp/sandbox-empty-XXXXXX";
	const char *report = NULL;
	int is_root = geteuid() == 0, wants_root = 0, has_containers = 0, has_tun = 1, next = 1;
	int network = 0;
	const char *script = NULL;

	if (next < count && strcmp(arguments[next], "--alone") == 0) {
		network = CLONE_NEWNET;
		next++;
	} else if (next + 1 < count && strcmp(arguments[next], "--beside") == 0) {
		network = CLONE_NEWNET;
		script = arguments[next + 1];
		next += 2;
	}
	if (is_root)
		check(unshare(network) != 0, "network namespace");
	else
		enter(0, 0, network);
	/* Before there are mounts of its own, for what runs beside has those of the starter. */
	if (script != NULL)
		start_beside(script);
	check(unshare(CLONE_NEWNS) != 0, "mount namespace");
	check(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0, "private mounts");
	if (is_root)
		open_fuse();
	if (next + 1 < count && strcmp(arguments[next], "--machine") == 0) {
		move_to(arguments[next + 1]);
		next += 2;
	}
	int file = mkstemp(empty);
	check(file < 0, empty);
	close(file);
	for (; next < count && strncmp(arguments[next], "--", 2) == 0; next++) {
		const char *option = arguments[next];
		if (strcmp(option, "--") == 0) {
			next++;
			break;
		} else if (strcmp(option, "--root") == 0) {
			wants_root = 1;
		} else if (strcmp(option, "--containers") == 0) {
			has_containers = 1;
		} else if (strcmp(option, "--no-tun") == 0) {
			has_tun = 0;
		} else if (strcmp(option, "--hide") == 0 && next + 1 < count) {
			hide(arguments[++next], empty);
		} else if (strcmp(option, "--read-only") == 0 && next + 1 < count) {
			protect(arguments[++next]);
		} else if (strcmp(option, "--measure") == 0 && next + 1 < count) {
			report = arguments[++next];
		} else if (strcmp(option, "--user") == 0 && next + 1 < count) {
			if (is_root)
				user = group = strtoul(arguments[++next], NULL, 10);
			else
				next++;
		}
	}
	unlink(empty);
	if (has_containers)
		allow_containers(has_tun);
	if (is_root && user != 0) {
		check(setgroups(0, NULL) != 0 || setgid(group) != 0 || setuid(user) != 0, "setuid");
		/* A change of user closes /proc/self to the process itself. */
		check(prctl(PR_SET_DUMPABLE, 1) != 0, "prctl");
		if (wants_root)
			enter(0, 0, CLONE_NEWNS);
	} else if (!is_root && !wants_root) {
		enter(user, group, 0);
	}
	check(next >= count, "no command");
	if (report != NULL)
		measure(report);
	execvp(arguments[next], arguments + next);
	check(1, arguments[next]);
}
