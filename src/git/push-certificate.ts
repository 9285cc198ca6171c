/**
 * The certificate of a signed push, whose commands stand inside the signed text.
 *
 *   certificate = "certificate version 0.1" LF  *( ( "pusher" | "pushee" | "nonce" | "push-option" ) SP value LF )
 *                 LF  *( command LF )  "-----BEGIN ... -----" LF signature
 *
 * git's receive-pack joins the packets up to the one that is `push-cert-end` LF, takes what stands between the first empty line
 * and the last beginning of a signature for the commands, and reads on. Whatever another server could read otherwise (a second
 * beginning, an unknown one, no end of a line) is a fault here.
 *
 * Source: gitprotocol-pack "Push Certificate"; receive-pack.c, read_head_info and queue_commands_from_cert; gpg-interface.c,
 * parse_signed_buffer.
 */

const FIRST_LINE = 'certificate version 0.1';
const HEADER = /^(?:pusher|pushee|nonce|push-option) /;
const BEGIN = '-----BEGIN ';
const SIGNATURES: readonly string[] = [
  '-----BEGIN PGP SIGNATURE-----',
  '-----BEGIN PGP MESSAGE-----',
  '-----BEGIN SIGNED MESSAGE-----',
  '-----BEGIN SSH SIGNATURE-----',
];
const LAST_PACKET = Buffer.from('push-cert-end\n');
const LAST_LINE = 'push-cert-end';
const NEWLINE = 10;

/** Takes the packets of a certificate and gives each command to `command` as its line. Faults are thrown as SyntaxError. */
export class PushCertificate {
  readonly #command: (line: Buffer) => void;
  #part: 'first' | 'header' | 'commands' | 'signature' | 'over' = 'first';
  /** The beginning of a line whose end has not come. */
  #begun: Buffer[] = [];

  constructor(command: (line: Buffer) => void) {
    this.#command = command;
  }

  get isOver(): boolean {
    return this.#part === 'over';
  }

  /** @throws SyntaxError when this cannot be read in one way */
  push(payload: Buffer): void {
    if (payload.equals(LAST_PACKET)) {
      if (this.#part !== 'signature' || this.#begun.length > 0) throw new SyntaxError('a push certificate ends before its signature');
      this.#part = 'over';
      return;
    }
    if (payload.includes(0)) throw new SyntaxError('a push certificate holds a NUL');
    for (let at = 0; at < payload.length;) {
      const end = payload.indexOf(NEWLINE, at);
      if (end < 0) {
        // Copied, because what it is part of may be used again.
        this.#begun.push(Buffer.from(payload.subarray(at)));
        return;
      }
      const piece = payload.subarray(at, end);
      this.#line(this.#begun.length === 0 ? piece : Buffer.concat([...this.#begun, piece]));
      this.#begun = [];
      at = end + 1;
    }
  }

  #line(line: Buffer): void {
    const isBegin = line.toString('latin1', 0, BEGIN.length) === BEGIN;
    switch (this.#part) {
      case 'first':
        if (line.toString('latin1') !== FIRST_LINE) throw new SyntaxError(`a push certificate does not begin with ${FIRST_LINE}`);
        this.#part = 'header';
        return;
      case 'header':
        if (line.length === 0) this.#part = 'commands';
        else if (!HEADER.test(line.toString('latin1'))) throw new SyntaxError('a push certificate has an unknown header');
        return;
      case 'commands':
        if (!isBegin) this.#command(line);
        else if (SIGNATURES.includes(line.toString('latin1'))) this.#part = 'signature';
        else throw new SyntaxError('a push certificate has a signature of an unknown kind');
        return;
      case 'signature':
        if (isBegin) throw new SyntaxError('a push certificate has two signatures');
        if (line.toString('latin1') === LAST_LINE) throw new SyntaxError('a push certificate has two ends');
        return;
      case 'over':
        return;
    }
  }
}
