import { expect, it } from 'vitest';
import { loginUsersIn } from '../../../src/cli/login-users.js';

const PASSWD = `root:x:0:0:root:/root:/bin/bash
daemon:x:1:1::/usr/sbin:/usr/sbin/nologin
postgres:x:101:104::/var/lib/postgresql:/bin/bash
ada:x:1000:1000:Ada,,,:/home/ada:/bin/bash
bob:x:1001:1001::/home/bob:/usr/bin/zsh
gone:x:1002:1002::/home/gone:/usr/sbin/nologin
false:x:1003:1003::/home/false:/bin/false
plain:x:1004:1004::/home/plain:
far:*:160001234:160001234:From a directory:/home/far:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/bin/sh
ada:x:1000:1000:Ada,,,:/home/ada:/bin/bash

no line at all
x:x:abc:1::/:/bin/sh
`;

it('loginUsersIn() names who can log in besides oneself, each once', () => {
  expect(loginUsersIn(PASSWD, 1001)).toEqual(['ada', 'plain', 'far']);
  expect(loginUsersIn(PASSWD, 0)).toEqual(['ada', 'bob', 'plain', 'far']);
});

it('loginUsersIn() finds nobody where there is only root and oneself', () => {
  expect(loginUsersIn('root:x:0:0::/root:/bin/bash\nada:x:1000:1000::/home/ada:/bin/bash\n', 1000)).toEqual([]);
  expect(loginUsersIn('', undefined)).toEqual([]);
});
