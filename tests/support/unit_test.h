/* cmocka with the headers that it wants before it. Include this, not <cmocka.h>: sorted includes
 * would put them behind it. */
#pragma once

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
/* clang-format on */
