/**
 * The first messages of a key exchange cross: ssh2 sends its own as soon as it knows the client's version, and then has nothing to
 * say when the client's arrives. So the kernel keeps the acknowledgement back (40 ms on Linux), and OpenSSH, which has Nagle's
 * algorithm on until it has signed in, keeps back its next message until it comes. Sent behind the client's, ours takes the
 * acknowledgement along. Measured: one connection in two took 60 ms instead of 20.
 *
 * Source: RFC 4253 section 7.1 (either side may begin); RFC 1122 section 4.2.3.2 (delayed acknowledgements).
 */
import type { Socket } from 'node:net';

/** Some clients wait for ours before they send theirs; they should not notice. */
const HOLD_MS = 5;

/** Holds back what is written from now on until the client has said something more. To be called when its version is known. */
export function holdFirstAnswer(socket: Socket): void {
  const release = (): void => {
    clearTimeout(timer);
    socket.off('data', heard).off('close', release);
    socket.uncork();
  };
  // Not before those who read it have had their turn.
  const heard = (): void => void setImmediate(release);
  const timer = setTimeout(release, HOLD_MS);
  socket.cork();
  socket.once('data', heard).once('close', release);
}
