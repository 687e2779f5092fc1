/* Stands for an `elsewhere` that is linked statically: runs the one that is tested, however that is linked. */
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    (void)argc;
    argv[0] = PROGRAM;
    execv(PROGRAM, argv);
    perror(PROGRAM);
    return 127;
}
