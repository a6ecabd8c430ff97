/* Loaded before the game's own libraries, so that a match depends on its seed alone.
 *
 * ioquake3 takes the time from gettimeofday(), seeds its generators with the milliseconds since
 * it started, and draws identifiers from /dev/urandom. Here time passes only when it is asked
 * for, a millisecond a question; the first interval is MATCH_SEED milliseconds, from which the
 * seeds follow; and the random device gives zeros. Rendering threads never ask.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#define START_S 1600000000L

int gettimeofday(struct timeval *now, void *zone)
{
    static _Atomic long questions;
    const char *seed = getenv("MATCH_SEED");
    long number = atomic_fetch_add(&questions, 1);
    long passed_ms = number ? number + (seed ? atol(seed) : 0) : 0;

    (void)zone;
    now->tv_sec = START_S + passed_ms / 1000;
    now->tv_usec = passed_ms % 1000 * 1000;
    return 0;
}

time_t time(time_t *now)
{
    if (now)
        *now = START_S;
    return START_S;
}

FILE *fopen(const char *path, const char *mode)
{
    static FILE *(*original)(const char *, const char *);

    if (!original)
        original = (FILE * (*)(const char *, const char *)) dlsym(RTLD_NEXT, "fopen");
    return original(strcmp(path, "/dev/urandom") ? path : "/dev/zero", mode);
}

FILE *fopen64(const char *path, const char *mode)
{
    return fopen(path, mode);
}
