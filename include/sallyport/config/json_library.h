/* Which JSON library runs underneath: for `sallyport version`. */
#pragma once

/* As linked: "2.14". Static. */
const char *json_library_version(void);
