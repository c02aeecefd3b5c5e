// So that input is const, as it is.
#define ZLIB_CONST
#include <zlib.h>
