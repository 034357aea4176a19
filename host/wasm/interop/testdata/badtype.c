// An export with the right name and the wrong type.
#include "plugin.h"

EXPORT(list_tools) int32_t list_tools(void) { return answer("{\"tools\":[]}"); }
EXPORT(call_tool) int32_t call_tool(int64_t request) { return (int32_t)request; }
