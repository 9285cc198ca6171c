/**
 * One upstream connection per client connection, for `passthrough`: NTLM and Negotiate sign in a connection, so it must
 * belong to one caller and end with it.
 */
import type { Agent } from 'node:http';
import type { Socket } from 'node:net';
import type { UpstreamConnections, UpstreamTarget } from '../upstream/connections.js';

export class PrivateAgents {
  readonly #bySocket = new WeakMap<Socket, Map<string, Agent>>();

  /** The agent of this client connection for this upstream; it is closed when the client connection closes. */
  agentFor(socket: Socket, target: UpstreamTarget, connections: UpstreamConnections): Agent {
    let agents = this.#bySocket.get(socket);
    if (agents === undefined) {
      agents = new Map();
      this.#bySocket.set(socket, agents);
    }
    const key = `${target.origin.origin} ${target.route.match}`;
    const known = agents.get(key);
    if (known !== undefined) return known;
    const { agent, release } = connections.privateAgent(target);
    agents.set(key, agent);
    socket.once('close', release);
    return agent;
  }
}
