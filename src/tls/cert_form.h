/* Is a file PEM text? If not, what is it, and how is it made PEM? */
#pragma once

#include "cert_file.h"

/* The text of the file, a byte order mark left out with a warning; empty after a problem was
 * reported: no file that has PEM blocks (RFC 7468) at all. */
struct view cert_form_text(const struct cert_file *file, struct cert_load *load);
