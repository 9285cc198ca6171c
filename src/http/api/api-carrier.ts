/** An admitted call of the REST API on its way upstream and back. */
import type { Pass } from '../../model/decision.js';
import type { ApiOperation } from '../../model/operation.js';
import { planJourney } from '../../upstream/journey.js';
import type { Courier, Ends } from '../courier.js';
import { apiHeaders } from '../headers.js';
import { elsewhere, PlainForwarder } from '../plain-forward.js';

export class ApiCarrier {
  readonly #forwarder: PlainForwarder;

  constructor(courier: Courier) {
    this.#forwarder = new PlainForwarder(courier);
  }

  /** Carries one admitted call through; its record is closed when this resolves. Never rejects. */
  async carry(ends: Ends, operation: ApiOperation, { route }: Pass): Promise<void> {
    await this.#forwarder.forward(ends, {
      journey: planJourney(operation, route, ends.record),
      headers: () => apiHeaders(ends.request.headers),
      moved: elsewhere,
    });
  }
}
