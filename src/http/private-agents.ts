/**
 * One upstream connection per client connection, for `passthrough`: NTLM and Negotiate sign in a connection, so it must
 * belong to one caller and end with it.
 */
import type { Agent } from 'node:http';
import type { Socket } from 'node:net';
import type { UpstreamConnections, UpstreamTarget } from '../upstream/connections.js';

type PrivateAgent = ReturnType<UpstreamConnections['privateAgent']>;

export class PrivateAgents {
  readonly #bySocket = new WeakMap<Socket, Map<string, PrivateAgent>>();

  /** The agent of this client connection for this upstream; it is closed when the client connection closes. */
  agentFor(socket: Socket, target: UpstreamTarget, connections: UpstreamConnections): Agent {
    let agents = this.#bySocket.get(socket);
    if (agents === undefined) {
      const own = (agents = new Map<string, PrivateAgent>());
      this.#bySocket.set(socket, own);
      // One listener however many upstreams the client asks for on its connection.
      socket.once('close', () => {
        for (const { release } of own.values()) release();
      });
    }
    const key = `${target.origin.origin} ${target.route.match}`;
    const known = agents.get(key);
    if (known !== undefined) return known.agent;
    const made = connections.privateAgent(target);
    agents.set(key, made);
    return made.agent;
  }
}
