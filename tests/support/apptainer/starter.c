/* A program in the shape of Apptainer's `starter`: started by `apptainer` with an empty
 * environment, it makes a user and a mount namespace, mounts the image below its session directory
 * with its own squashfuse_ll (or binds a directory), and runs the command in it as the user. */
#define _GNU_SOURCE
#include "prefix.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

extern char **environ;

/* Of libseccomp: see apptainer.c. */
extern unsigned int seccomp_api_get(void);

static void write_file(const char *name, const char *text) {
	int file = open(name, O_WRONLY | O_CLOEXEC);
	if (file < 0 || write(file, text, strlen(text)) < 0)
		fatal("cannot write %s: %s", name, strerror(errno));
	close(file);
}

/* A new user namespace in which `inside` is this process's user, who is `outside` here. */
static void become(unsigned inside_user, unsigned inside_group, int flags) {
	char line[64];
	unsigned user = geteuid(), group = getegid();
	if (unshare(CLONE_NEWUSER | flags) != 0)
		fatal("cannot create a user namespace: %s", strerror(errno));
	write_file("/proc/self/setgroups", "deny");
	snprintf(line, sizeof line, "%u %u 1", inside_user, user);
	write_file("/proc/self/uid_map", line);
	snprintf(line, sizeof line, "%u %u 1", inside_group, group);
	write_file("/proc/self/gid_map", line);
}

/* Starts squashfuse_ll in the foreground and waits until the session directory is a mount. */
static pid_t mount_image(const struct installation *here, const char *image) {
	char helper[PATH_MAX];
	struct stat before, now;
	if (!find_helper(here, "squashfuse_ll", helper))
		fatal("squashfuse_ll not found in %s/bin", here->libexec);
	if (stat(here->session, &before) != 0)
		fatal("session directory %s: %s", here->session, strerror(errno));
	pid_t child = fork();
	if (child == 0) {
		char *const arguments[] = {helper, "-f", (char *)image, (char *)here->session, NULL};
		char *const nothing[] = {NULL};
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		execve(helper, arguments, nothing);
		fatal("cannot execute %s: %s", helper, strerror(errno));
	}
	for (int tries = 0; tries < 1000; tries++) {
		int status;
		if (waitpid(child, &status, WNOHANG) == child)
			fatal("squashfuse_ll could not mount %s", image);
		if (stat(here->session, &now) == 0 && now.st_dev != before.st_dev)
			return child;
		usleep(10000);
	}
	fatal("squashfuse_ll did not mount %s within ten seconds", image);
	return -1;
}

/* The host's /proc and /dev, where the image has a place for them. */
static void bind_host(const char *session, const char *name) {
	char target[PATH_MAX];
	path(target, "%s%s", session, name);
	if (access(target, F_OK) == 0 && mount(name, target, NULL, MS_BIND | MS_REC, NULL) != 0)
		fatal("cannot bind %s: %s", name, strerror(errno));
}

/* Changes the root in mounts of its own, so that squashfuse_ll keeps its root and can unmount. */
static void enter(const char *session) {
	if (unshare(CLONE_NEWNS) != 0)
		fatal("cannot create a mount namespace: %s", strerror(errno));
	bind_host(session, "/proc");
	bind_host(session, "/dev");
	if (chdir(session) != 0 || syscall(SYS_pivot_root, ".", ".") != 0)
		fatal("cannot change the root to %s: %s", session, strerror(errno));
	if (umount2(".", MNT_DETACH) != 0 || chdir("/") != 0)
		fatal("cannot leave the old root: %s", strerror(errno));
}

int main(int count, char **arguments) {
	struct installation here = locate();
	unsigned user = geteuid(), group = getegid();
	char *const environment[] = {
		"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "APPTAINER_CONTAINER=image", NULL};
	struct stat image;
	pid_t helper = -1;
	int status = 0;

	if (environ != NULL && environ[0] != NULL)
		fatal("starter: the environment is not empty (%s)", environ[0]);
	if (count < 3)
		fatal("starter: usage: starter IMAGE COMMAND...");
	if (seccomp_api_get() == 0)
		fatal("starter: libseccomp does not work");
	if (stat(arguments[1], &image) != 0)
		fatal("could not open image %s: %s", arguments[1], strerror(errno));
	if (access(here.session, X_OK) != 0)
		fatal("session directory %s: %s", here.session, strerror(errno));

	become(0, 0, CLONE_NEWNS);
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		fatal("cannot make mounts private: %s", strerror(errno));
	if (!S_ISDIR(image.st_mode))
		helper = mount_image(&here, arguments[1]);
	else if (mount(arguments[1], here.session, NULL, MS_BIND | MS_REC, NULL) != 0)
		fatal("cannot bind %s: %s", arguments[1], strerror(errno));

	pid_t child = fork();
	if (child == 0) {
		enter(here.session);
		become(user, group, 0);
		execvpe(arguments[2], arguments + 2, environment);
		fatal("exec %s failed: %s", arguments[2], strerror(errno));
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		fatal("cannot run the container: %s", strerror(errno));
	if (helper > 0) {
		kill(helper, SIGTERM);
		waitpid(helper, NULL, 0);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
