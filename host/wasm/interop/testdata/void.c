// Exports without a result, which Extism also calls; and no tools at all, which a Go
// plugin made from hyper-mcp's template writes as null.
#include "plugin.h"

EXPORT(list_tools) void list_tools(void) { answer("{\"tools\":null}"); }
EXPORT(call_tool) void call_tool(void) { answer("{\"content\":[{\"type\":\"text\",\"text\":\"void\"}],\"isError\":false}"); }
