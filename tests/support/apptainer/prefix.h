/* Where an installation of the Apptainer-shaped test program lies.
 *
 * The rules are upstream's: the prefix is derived from /proc/self/exe, and only when its basename
 * is `apptainer` (the prefix is the parent of bin) or `starter` (the prefix is the parent of
 * libexec/apptainer/bin). Under any other name the prefix is /usr, where the package puts it, with
 * /etc and /var beside it. No environment variable is looked at. */
#ifndef PREFIX_H
#define PREFIX_H

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct installation {
	char libexec[PATH_MAX];   /* PREFIX/libexec/apptainer */
	char config[PATH_MAX];    /* PREFIX/etc/apptainer/apptainer.conf */
	char session[PATH_MAX];   /* PREFIX/var/lib/apptainer/mnt/session */
};

/* Ends with upstream's status for its own failures. */
static void fatal(const char *format, ...) {
	va_list arguments;
	va_start(arguments, format);
	fputs("FATAL:   ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	exit(255);
}

/* Writes a path, or ends the program when it does not fit. */
static void path(char buffer[PATH_MAX], const char *format, ...) {
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(buffer, PATH_MAX, format, arguments);
	va_end(arguments);
	if (length < 0 || length >= PATH_MAX)
		fatal("path too long");
}

/* Cuts the last component off and returns it; NULL when there is none left. */
static const char *pop(char *name) {
	char *slash = strrchr(name, '/');
	if (slash == NULL)
		return NULL;
	*slash = '\0';
	return slash + 1;
}

/* Whether `name` ends in the directories `tail[0]`, `tail[1]`, …; they are cut off if so. */
static int pop_all(char *name, const char *const *tail) {
	for (; *tail != NULL; tail++) {
		const char *last = pop(name);
		if (last == NULL || strcmp(last, *tail) != 0)
			return 0;
	}
	return 1;
}

static struct installation locate(void) {
	static const char *const command[] = {"apptainer", "bin", NULL};
	static const char *const starter[] = {"starter", "bin", "apptainer", "libexec", NULL};
	char self[PATH_MAX], prefix[PATH_MAX];
	struct installation found;

	ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
	if (length < 0)
		fatal("cannot read /proc/self/exe");
	self[length] = '\0';
	strcpy(prefix, self);
	int relocated = pop_all(prefix, command);
	if (!relocated) {
		strcpy(prefix, self);
		relocated = pop_all(prefix, starter);
	}
	if (!relocated || strcmp(prefix, "/usr") == 0) {
		path(found.libexec, "/usr/libexec/apptainer");
		prefix[0] = '\0'; /* /etc and /var */
	} else {
		path(found.libexec, "%s/libexec/apptainer", prefix);
	}
	path(found.config, "%s/etc/apptainer/apptainer.conf", prefix);
	path(found.session, "%s/var/lib/apptainer/mnt/session", prefix);
	return found;
}

/* The helper `name`: in the installation's own directory first, always, then in the directories
 * that upstream falls back to when it has no PATH. */
static int find_helper(const struct installation *here, const char *name, char out[PATH_MAX]) {
	static const char *const fallback[] = {
		"/usr/local/bin", "/usr/local/sbin", "/usr/bin", "/usr/sbin", "/bin", "/sbin", NULL};
	path(out, "%s/bin/%s", here->libexec, name);
	if (access(out, X_OK) == 0)
		return 1;
	for (const char *const *directory = fallback; *directory != NULL; directory++) {
		path(out, "%s/%s", *directory, name);
		if (access(out, X_OK) == 0)
			return 1;
	}
	return 0;
}

#endif
