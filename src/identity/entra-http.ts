/**
 * The HTTP client that the token library is given: its requests take our own road, so that trust, outgoing proxy and the text of
 * every fault are those of all other connections. Knows the library's pipeline by its types alone.
 */
import type { HttpClient, HttpHeaders, PipelineResponse, RawHttpHeaders } from '@azure/core-rest-pipeline';
import type { AuthorityTalk } from './authority-talk.js';

/** A client that carries requests by `talk`. */
export function httpClientOver(talk: AuthorityTalk): HttpClient {
  return {
    async sendRequest(request): Promise<PipelineResponse> {
      const { body } = request;
      if (body !== undefined && body !== null && typeof body !== 'string')
        throw new TypeError('the token library sends a body that is no text');
      const answer = await talk.exchange({
        method: request.method,
        url: new URL(request.url),
        // The pipeline asks for a compressed answer, and leaves it to its own client to unpack.
        headers: { ...request.headers.toJSON(), 'accept-encoding': 'identity' },
        body: body ?? undefined,
      });
      return { request, status: answer.status, headers: new AnswerHeaders(answer.headers), bodyAsText: answer.body };
    },
  };
}

/** Headers as the pipeline wants them; names are in lower case already. */
class AnswerHeaders implements HttpHeaders {
  readonly #values: Map<string, string>;

  constructor(values: Readonly<Record<string, string>>) {
    this.#values = new Map(Object.entries(values));
  }

  get(name: string): string | undefined {
    return this.#values.get(name.toLowerCase());
  }

  has(name: string): boolean {
    return this.#values.has(name.toLowerCase());
  }

  set(name: string, value: string | number | boolean): void {
    this.#values.set(name.toLowerCase(), String(value));
  }

  delete(name: string): void {
    this.#values.delete(name.toLowerCase());
  }

  toJSON(): RawHttpHeaders {
    return Object.fromEntries(this.#values);
  }

  [Symbol.iterator](): Iterator<[string, string]> {
    return this.#values[Symbol.iterator]();
  }
}
