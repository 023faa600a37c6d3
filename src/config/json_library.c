/* Which JSON library runs underneath. */
#include <sallyport/config/json_library.h>

#include <jansson.h>

const char *json_library_version(void)
{
    return jansson_version_str();
}
