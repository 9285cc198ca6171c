/**
 * Runs the command that `postern exec` was given: its terminal, its input and output are ours, signals are passed on, and its end
 * becomes an exit code as a shell would tell it (POSIX, Shell Command Language 2.8.2).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { messageOf, ProxyError, systemCodeOf } from '../../model/errors.js';

/** A command that was not found, and one that was and cannot be run. */
const EXIT_NOT_FOUND = 127;
const EXIT_CANNOT_RUN = 126;
const EXIT_SIGNAL = 128;

/** What is passed on. All but the last also come from a terminal, which sends them to every process in front of it. */
const FROM_TERMINAL: readonly NodeJS.Signals[] = ['SIGINT', 'SIGQUIT', 'SIGHUP'];
const PASSED_ON: readonly NodeJS.Signals[] = [...FROM_TERMINAL, 'SIGTERM'];

/** How the command ended; `failure` when it never began. */
export interface CommandEnd {
  readonly code: number;
  readonly failure?: ProxyError;
}

/**
 * The signals of this process from now on: kept while there is no command, passed on while there is one. None of them ends the
 * process by itself any more, because what was opened has to be closed first.
 */
export class Signals {
  #child: ChildProcess | undefined;
  #first: NodeJS.Signals | undefined;
  #listener: ((signal: NodeJS.Signals) => void) | undefined;

  constructor() {
    for (const signal of PASSED_ON) process.on(signal, this.#take);
  }

  /** The first one that came while there was no command. */
  get first(): NodeJS.Signals | undefined {
    return this.#first;
  }

  /** Passes signals on to a command that runs. */
  passTo(child: ChildProcess): void {
    this.#child = child;
    child.once('exit', () => (this.#child = undefined));
  }

  /** Calls back for each one that comes when no command runs. */
  onOther(listener: (signal: NodeJS.Signals) => void): void {
    this.#listener = listener;
  }

  /** Leaves signals to their usual effect again. */
  release(): void {
    for (const signal of PASSED_ON) process.off(signal, this.#take);
  }

  readonly #take = (signal: NodeJS.Signals): void => {
    if (this.#child === undefined) {
      this.#first ??= signal;
      this.#listener?.(signal);
    } else if (!FROM_TERMINAL.includes(signal) || !isInFront()) this.#child.kill(signal);
  };
}

/** Runs the command to its end. Its own children may live on. */
export function runCommand(argv: readonly string[], environment: NodeJS.ProcessEnv, signals: Signals): Promise<CommandEnd> {
  const [program = '', ...args] = argv;
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: 'inherit', env: environment });
    signals.passTo(child);
    child.once('error', (thrown) => {
      // It has begun, and a signal could not be sent: it is ending anyway.
      if (child.pid === undefined) resolve(notBegun(program, thrown, environment['PATH']));
    });
    // Not `close`: that waits for whoever still holds its output.
    child.once('exit', (code, signal) => resolve({ code: code ?? exitCodeOf(signal) }));
    // If this process breaks, the command has lost its door.
    const endIt = (): boolean => child.kill('SIGTERM');
    process.once('exit', endIt);
    child.once('exit', () => process.off('exit', endIt));
  });
}

/** The exit code of something that a signal ended. */
export function exitCodeOf(signal: NodeJS.Signals | null): number {
  return EXIT_SIGNAL + (signal === null ? 0 : constants.signals[signal]);
}

function notBegun(program: string, thrown: Error, path: string | undefined): CommandEnd {
  const code = systemCodeOf(thrown);
  if (code === 'ENOENT' || (code === 'EACCES' && !isThere(program, path))) {
    const what = `The command ${program} was not found${program.includes('/') ? ', or the interpreter that its first line names' : ''}`;
    return { code: EXIT_NOT_FOUND, failure: new ProxyError('usage', what, { todo: 'check how it is spelt, and the PATH' }) };
  }
  const why = code === 'EACCES' ? 'it is not executable' : (code ?? messageOf(thrown));
  return {
    code: EXIT_CANNOT_RUN,
    failure: new ProxyError('usage', `The command ${program} cannot be run (${why})`, {
      todo: code === 'EACCES' ? '`chmod +x` it, or name the program that runs it' : 'see whether it runs without `postern exec`',
    }),
  };
}

/** A directory of the PATH that may not be looked into makes the system say "denied" of a command that stands nowhere. */
function isThere(program: string, path = ''): boolean {
  return program.includes('/') || path.split(':').some((directory) => existsSync(join(directory, program)));
}

/**
 * Whether this process and its command are what a terminal has in front: Ctrl-C then reaches both, and passing it on would
 * send it twice, which many programs take for "at once". Nobody can ask a signal where it comes from here, so one that was sent with kill(1)
 * to this process alone, while it is in front of a terminal, is not passed on either; SIGTERM always is.
 *
 * Source: proc(5), /proc/PID/stat: pgrp, session, tty_nr, tpgid.
 */
function isInFront(): boolean {
  try {
    const stat = readFileSync('/proc/self/stat', 'latin1');
    // The name of the program stands in brackets before, and may hold anything.
    const [, , pgrp, , tty, tpgid] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return tty !== '0' && tpgid === pgrp;
  } catch {
    // No such file on other systems: with a terminal at hand it is most likely in front of it.
    return process.stdin.isTTY || process.stderr.isTTY;
  }
}
