/* Wild: it leaves many processes, each in a session of its own and with children that it never waits for. */
#include <unistd.h>

int main(void)
{
    for (int i = 0; i < 20; i++)
        if (fork() == 0) {
            setsid();
            if (fork() == 0) {
                setsid();
                for (int j = 0; j < 5; j++)
                    if (fork() == 0)
                        _exit(0);
                for (;;)
                    pause();
            }
            _exit(0);
        }
    _exit(0);
}
