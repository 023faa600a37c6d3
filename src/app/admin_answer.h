/* The service's half of an answer. */
#pragma once

#include "admin_route.h"
#include "admin_text.h"

/* 200 without a body, written into `text`, which is open. */
void admin_answer_init(struct admin_answer *a, struct arena *arena, struct admin_text *text);
