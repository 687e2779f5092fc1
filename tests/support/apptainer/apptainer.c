/* A program in the shape of Apptainer's command: it obeys upstream's rules about where things are
 * (see prefix.h), and leaves everything else out. It reads its configuration, and starts `starter`
 * with an empty environment. VERSION is set by the compiler's command line. */

#define _GNU_SOURCE
#include "prefix.h"

#include <link.h>

/* Of libseccomp, which the real program is linked with; declared here so that no header of it is
 * needed for any architecture. */
struct scmp_version { unsigned int major, minor, micro; };
extern const struct scmp_version *seccomp_version(void);

/* Prints the name of libsubid, which the real program is linked with where a dist has it. */
static int show_libsubid(struct dl_phdr_info *library, size_t size, void *found) {
	const char *name = strstr(library->dlpi_name, "libsubid.so.");
	(void)size;
	if (name == NULL)
		return 0;
	*(const char **)found = name;
	return 1;
}

/* Upstream's `apptainer buildcfg`, with what this program would use of each helper. */
static int buildcfg(const struct installation *here) {
	static const char *const helpers[] = {
		"squashfuse_ll", "fuse-overlayfs", "fakeroot-sysv", "faked-sysv", "getopt", "mksquashfs", "mkfs.ext3", NULL};
	const struct scmp_version *seccomp = seccomp_version();
	const char *libsubid = "none";
	char found[PATH_MAX];

	printf("LIBEXECDIR=%s\n", here->libexec);
	printf("APPTAINER_CONF_FILE=%s\n", here->config);
	printf("SESSIONDIR=%s\n", here->session);
	printf("LIBSECCOMP=%u.%u.%u\n", seccomp->major, seccomp->minor, seccomp->micro);
	dl_iterate_phdr(show_libsubid, &libsubid);
	printf("LIBSUBID=%s\n", libsubid);
	for (const char *const *name = helpers; *name != NULL; name++)
		printf("HELPER %s=%s\n", *name, find_helper(here, *name, found) ? found : "none");
	return 0;
}

/* Shows the configuration's `message`, the only directive; a missing file is fatal, as upstream. */
static void read_configuration(const struct installation *here, int quiet) {
	FILE *file = fopen(here->config, "r");
	char line[512];
	if (file == NULL)
		fatal("while initializing: could not read configuration %s", here->config);
	while (fgets(line, sizeof line, file) != NULL)
		if (!quiet && strncmp(line, "message = ", 10) == 0)
			fprintf(stderr, "INFO:    %s", line + 10);
	fclose(file);
}

/* starter IMAGE COMMAND…, with no environment at all. */
static int start(const struct installation *here, int quiet, char **arguments) {
	char program[PATH_MAX];
	char *const nothing[] = {NULL};
	read_configuration(here, quiet);
	path(program, "%s/bin/starter", here->libexec);
	char **words = arguments - 1; /* the subcommand's place becomes argv[0] */
	words[0] = (char *)"Apptainer runtime parent";
	execve(program, words, nothing);
	fatal("while starting %s: cannot execute it", program);
	return 255;
}

int main(int count, char **arguments) {
	struct installation here = locate();
	int quiet = 0;

	arguments++, count--;
	for (; count > 0 && arguments[0][0] == '-'; arguments++, count--) {
		if (strcmp(arguments[0], "--version") == 0) {
			printf("apptainer version %s\n", VERSION);
			return 0;
		}
		if (strcmp(arguments[0], "--quiet") != 0)
			fatal("unknown flag: %s", arguments[0]);
		quiet = 1;
	}
	if (count == 1 && strcmp(arguments[0], "buildcfg") == 0)
		return buildcfg(&here);
	if (count >= 3 && strcmp(arguments[0], "exec") == 0)
		return start(&here, quiet, arguments + 1);
	if (count >= 2 && strcmp(arguments[0], "run") == 0) {
		/* The image's own script, as upstream runs it. */
		char *run[] = {NULL, arguments[1], (char *)"/.singularity.d/runscript", NULL};
		return start(&here, quiet, run + 1);
	}
	fprintf(stderr, "usage: apptainer [--quiet] --version | buildcfg | exec IMAGE COMMAND... | run IMAGE\n");
	return 1;
}
