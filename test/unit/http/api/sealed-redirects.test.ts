import { describe, expect, it } from 'vitest';
import { OnwardSeal } from '../../../../src/gate/onward-seal.js';
import { parseApiAddress } from '../../../../src/hosts/api-address.js';
import { Onward, type Onwards } from '../../../../src/http/onward.js';
import type { RepoAddress } from '../../../../src/model/address.js';
import { FakeClock } from '../../../fakes/clock.js';
import { route } from '../../route.js';

const PATH = '/contoso/Payments/_packaging/tools/npm/registry/left/-/left-1.0.0.tgz';

function addressOf(host: string, path: string): RepoAddress {
  const parsed = parseApiAddress('azure-services', host, path);
  if (parsed.kind === 'fault') throw new Error(parsed.what);
  return parsed.address;
}

function sealed(url: string, upstream?: URL): Onwards {
  const onward = new Onward({ seal: new OnwardSeal(undefined), hosts: [], clock: new FakeClock() });
  const named = {
    route: route('dev.azure.com/**', { upstream }),
    address: addressOf('pkgs.dev.azure.com', PATH),
    local: 'http://127.0.0.1:8417/x',
    isByStorage: false,
  };
  return onward.addressFor({ url, method: 'GET', action: 'get' }, named);
}

describe('Onward.addressFor() of a redirect', () => {
  it('seals storage', () => {
    expect(sealed('https://contoso.blob.core.windows.net/x?sig=1')).toMatchObject({ kind: 'address' });
  });

  // It would be fetched with our token, and admitted by the path in which it was named.
  it.each([
    ['https://pkgs.dev.azure.com/fabrikam/_apis/projects', undefined],
    ['https://pkgs.dev.azure.com/contoso/_apis/tokens/pats', undefined],
    ['https://gate.example/azure/contoso/_apis/tokens/pats', new URL('https://gate.example/azure')],
  ])('never seals another call of the service itself: %s', (url, upstream) => {
    expect(sealed(url, upstream).kind).toBe('no');
  });
});
