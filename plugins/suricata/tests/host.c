/* Loads a plugin as Suricata does, and says which version it is: none of those that the plugin is for. */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#ifdef VERSION
const char *GetProgramVersion(void) { return VERSION; }
#endif

#ifdef LOG
int SCLogMessage(int level, const char *file, unsigned line, const char *function, const char *module, const char *message)
{
    (void)file, (void)line, (void)function;
    printf("log %d %s: %s\n", level, module, message);
    return 0;
}
#endif

bool SCRegisterEveFileType(void *type)
{
    (void)type;
    printf("registered\n");
    return true;
}

#ifdef CALLBACKS
bool SCEveRegisterCallback(void *callback, void *user)
{
    (void)callback, (void)user;
    return true;
}
struct plugin { uint64_t version; const char *suricata_version, *name, *plugin_version, *license, *author; void (*init)(void); };
#else
struct plugin { const char *name, *license, *author; void (*init)(void); };
#endif

int main(int count, char **arguments)
{
    void *library = count == 2 ? dlopen(arguments[1], RTLD_NOW) : NULL;
    const struct plugin *(*entry)(void) = NULL;
    if (library)
        *(void **)&entry = dlsym(library, "SCPluginRegister");
    const struct plugin *plugin = entry ? entry() : NULL;
    if (!plugin) {
        printf("nothing was loaded: %s\n", library ? "no plugin" : dlerror());
        return 1;
    }
#ifdef CALLBACKS
    printf("interface %llu\n", (unsigned long long)plugin->version);
#endif
    printf("%s, %s\n", plugin->name, plugin->license);
    plugin->init();
    return 0;
}
