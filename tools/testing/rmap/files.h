/* SPDX-License-Identifier: GPL-2.0 */
/* Files of /proc and /sys. */
#ifndef RMAP_FILES_H
#define RMAP_FILES_H

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static inline int try_write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	int ret = fd < 0 || write(fd, text, strlen(text)) < 0 ? -1 : 0;
	int err = errno;

	if (fd >= 0)
		close(fd);
	errno = err;
	return ret;
}

#endif /* RMAP_FILES_H */
