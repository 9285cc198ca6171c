/** A logger that keeps its lines. */
import type { LogEvent, LogFields, Logger, LogLevel } from '../../src/model/ports.js';

export class FakeLogger implements Logger {
  readonly lines: { readonly level: LogLevel; readonly event: LogEvent; readonly fields: LogFields }[] = [];

  log(level: LogLevel, event: LogEvent, fields: LogFields = {}): void {
    this.lines.push({ level, event, fields });
  }

  count(event: LogEvent): number {
    return this.lines.filter((line) => line.event === event).length;
  }
}
