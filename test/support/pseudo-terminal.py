# A pseudo-terminal around a program: what is typed comes in on stdin, what it draws goes out on stdout, `ROWS COLUMNS` lines on
# descriptor 3 make the window another size. Ends as the program does. Before that, the terminal's settings are told on stderr.
import fcntl, os, pty, select, struct, sys, termios

rows, columns = int(sys.argv[1]), int(sys.argv[2])
pid, master = pty.fork()
if pid == 0:
    # Until its window has a size.
    os.read(0, 1)
    os.execvp(sys.argv[3], sys.argv[3:])
size = lambda r, c: fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", r, c, 0, 0))
size(rows, columns)
before = termios.tcgetattr(master)
os.write(master, b"\n")
watched = [0, 3, master]
while master in watched:
    for ready in select.select(watched, [], [])[0]:
        try:
            data = os.read(ready, 65536)
        except OSError:
            data = b""
        if not data:
            watched.remove(ready)
        elif ready == 0:
            os.write(master, data)
        elif ready == 3:
            size(*map(int, data.split()[-2:]))
        else:
            os.write(1, data)
after = termios.tcgetattr(master)
sys.stderr.write("settings %s\n" % ("as before" if before[:4] == after[:4] else "changed"))
_, status = os.waitpid(pid, 0)
sys.exit(os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))
