/**
 * Spelled addresses, and which repository each leads to: said here by hand, and told again by the emulator's own router when the
 * test asks it directly. Text beyond ASCII is percent-encoded (UTF-8) before it is sent, everything else goes out as it stands.
 */

/** One spelled address. */
export interface AddressRow {
  /** What follows the first slash of the request target: host and path, up to the repository. */
  readonly at: string;
  /** Canonical name of the repository that it leads to, whether or not there is one; undefined when it leads to none. */
  readonly leads?: string;
  /** Why the door refuses it to everyone although it leads to a repository. */
  readonly refused?: string;
  /** The repository for which a server with another idea of letters could take it. */
  readonly looksLike?: string;
  /** For the forms of the SSH hosts, which serve no HTTPS: the same address over HTTPS, in which the emulator is asked. */
  readonly twin?: string;
  /** `at` is a whole request target, to be sent with this method only. */
  readonly whole?: 'GET' | 'POST';
}

const APP = 'contoso/fleet/app';
const INFRA = 'contoso/fleet-infra/app';
const DEFAULT = 'contoso/app/app';
const SPACES = 'contoso/my project/my.repo';
const TFS = 'tfs.example.com/tfs/defaultcollection/fleet/app';
const GIT = 'git.example.com/team/app';

const leads = (to: string, ...spelled: readonly string[]): AddressRow[] => spelled.map((at) => ({ at, leads: to }));
const nowhere = (...spelled: readonly string[]): AddressRow[] => spelled.map((at) => ({ at }));
const refused = (why: string, ...spelled: readonly (readonly [at: string, to: string])[]): AddressRow[] =>
  spelled.map(([at, to]) => ({ at, leads: to, refused: why }));
const alike = (looksLike: string, ...spelled: readonly (readonly [at: string, to: string])[]): AddressRow[] =>
  spelled.map(([at, to]) => ({ at, leads: to, looksLike }));
const ssh = (at: string, to: string, twin: string): AddressRow => ({ at, leads: to, twin });

/** Repositories that are there; an address may lead to others, which are not. */
export const REPOSITORIES: readonly string[] = [
  APP,
  INFRA,
  DEFAULT,
  SPACES,
  TFS,
  GIT,
  'contoso/fleet/fleet',
  'contoso/fleet/app-infra',
  'contoso/my project/a+b',
  'contoso/optimized/app',
  'contoso/kiosk/kit',
  'contoso/istanbul/site',
  'contoso/café/straße',
  'contoso/café/strasse',
  'contoso/οδοσ/app',
  'contoso/ｆｌｅｅｔ/app',
  'contoso-dev/fleet/app',
  'fabrikam/fleet/app',
  'ssh/fleet/app',
  'tfs.example.com/tfs/defaultcollection/fleet-infra/app',
  'tfs.example.com/tfs/defaultcollection/app/app',
  'tfs.example.com/tfs/main/fleet/app',
  'git.example.com/team/app-infra',
  'git.example.com/team/app/sub',
  'git.example.com/Team/app',
  'git.example.com/secret/app',
  'other.example.com/team/app',
];

const TWICE = 'escapes that would decode again';
const ODD = 'a name that Azure DevOps does not allow, and that a Windows server may read as another';
const SLASHES = 'a slash too many or an encoded one, which programs on the way read differently';
const SIGNS = 'a sign that does not show, or that turns the text around';
const QUERY = 'a query that git does not send, and of which two programs may read different parts';

export const ROWS: readonly AddressRow[] = [
  // Plain, and in another case.
  ...leads(
    APP,
    'dev.azure.com/contoso/fleet/_git/app',
    'DEV.AZURE.COM/contoso/fleet/_git/app',
    'Dev.Azure.Com/CONTOSO/Fleet/_GIT/APP',
    'dev.azure.com/Contoso/fLEET/_Git/aPP',
    'contoso.visualstudio.com/fleet/_git/app',
    'CONTOSO.VisualStudio.COM/FLEET/_git/App',
  ),
  // Letters as escapes.
  ...leads(
    APP,
    'dev.azure.com/%63ontoso/fleet/_git/app',
    'dev.azure.com/contoso/%66%6C%65%65%74/_git/%61pp',
    'dev.azure.com/%43ontoso/%46leet/_git/%41PP',
    'dev.azure.com/contoso/fleet/%5fgit/app',
    'dev.azure.com/contoso/fleet/%5F%47it/app',
    'contoso.visualstudio.com/%66leet/_git/app',
    'contoso.visualstudio.com/%44efaultCollection/fleet/_git/app',
  ),
  ...leads(TFS, 'tfs.example.com/%74fs/DefaultCollection/fleet/_git/app', 'tfs.example.com/tfs/%64efaultcollection/fleet/_git/app'),
  ...leads(GIT, 'git.example.com/team/%61pp.git', 'git.example.com/team/app%2egit', 'git.example.com/%74eam/app'),
  ...leads(INFRA, 'dev.azure.com/contoso/fleet%2Dinfra/_git/app'),
  ...leads('contoso/fleet/a%pp', 'dev.azure.com/contoso/fleet/_git/a%25pp'),
  ...nowhere(
    '%64ev.azure.com/contoso/fleet/_git/app',
    'dev%2eazure.com/contoso/fleet/_git/app',
    'dev.azure.com/contoso/%zz/_git/app',
    'dev.azure.com/contoso/fleet/_git/app%',
    'dev.azure.com/contoso/%ff/_git/app',
    'dev.azure.com/contoso/%c0%af/_git/app',
    'dev.azure.com/contoso/%u0066leet/_git/app',
  ),
  ...refused(
    TWICE,
    ['dev.azure.com/contoso/%2566leet/_git/app', 'contoso/%66leet/app'],
    ['dev.azure.com/contoso/fleet/_git/%2561pp', 'contoso/fleet/%61pp'],
    ['dev.azure.com/contoso/%252e%252e/_git/app', 'contoso/%2e%2e/app'],
    ['dev.azure.com/contoso/fleet/_git/..%252fsecret', 'contoso/fleet/..%2fsecret'],
    ['git.example.com/team/%2561pp', 'git.example.com/team/%61pp'],
  ),
  ...nowhere('dev.azure.com/contoso/fleet/%255fgit/app'),
  // Steps.
  ...nowhere(
    'dev.azure.com/contoso/../fabrikam/fleet/_git/app',
    'dev.azure.com/fabrikam/../contoso/fleet/_git/app',
    'dev.azure.com/contoso/fleet/%2e%2e/secret/_git/app',
    'dev.azure.com/contoso/fleet/.%2E/secret/_git/app',
    'dev.azure.com/contoso/./fleet/_git/app',
    'dev.azure.com/contoso/fleet/_git/./app',
    'dev.azure.com/contoso/fleet/_git/app/../app-infra',
    'dev.azure.com/contoso/fleet/_git/app/.',
    'dev.azure.com/contoso/fleet/_git/..',
    'contoso.visualstudio.com/../fabrikam/fleet/_git/app',
    'tfs.example.com/tfs/DefaultCollection/../Main/fleet/_git/app',
    'git.example.com/team/../secret/app',
    'git.example.com/team/%2e%2e/secret/app',
    'git.example.com/team/./app',
    'git.example.com/./team/app',
  ),
  ...refused(
    'a name of dots alone',
    ['dev.azure.com/contoso/%2e/_git/app', 'contoso/./app'],
    ['dev.azure.com/contoso/fleet/_git/...', 'contoso/fleet/...'],
    ['dev.azure.com/contoso/．．/_git/app', 'contoso/．．/app'],
    ['git.example.com/team/．．/secret/app', 'git.example.com/team/．．/secret/app'],
  ),
  // Slashes.
  ...nowhere(
    'dev.azure.com//contoso/fleet/_git/app',
    'dev.azure.com/contoso//fleet/_git/app',
    'dev.azure.com/contoso/fleet//_git/app',
    'dev.azure.com/contoso/fleet/_git//app',
    'dev.azure.com/contoso/fleet/_git/app/',
    'dev.azure.com/contoso/fleet/_git/app//',
    'dev.azure.com/contoso%2ffleet/_git/app',
    'dev.azure.com/contoso/fleet%2F_git/app',
    'dev.azure.com/contoso/fleet/_git/app%2f..%2fapp-infra',
    'dev.azure.com/contoso/fleet\\_git\\app',
    'dev.azure.com%2fcontoso/fleet/_git/app',
    '/dev.azure.com/contoso/fleet/_git/app',
  ),
  ...refused(
    SLASHES,
    ['dev.azure.com/contoso/fleet/_git/secret%5c..%5capp', 'contoso/fleet/secret\\..\\app'],
    ['dev.azure.com/contoso／fleet/_git/app', 'contoso／fleet/app/app'],
    ['git.example.com//team/app', GIT],
    ['git.example.com/team//app', GIT],
    ['git.example.com/team/app/', GIT],
    ['git.example.com/team/app.git/', GIT],
    ['git.example.com/team%2fapp', GIT],
    ['git.example.com/team%2Fapp-infra', 'git.example.com/team/app-infra'],
    ['git.example.com/team%5capp', 'git.example.com/team\\app'],
  ),
  // The host: its port, and a dot at its end.
  ...leads(
    APP,
    'dev.azure.com:443/contoso/fleet/_git/app',
    'dev.azure.com:0443/contoso/fleet/_git/app',
    'DEV.azure.com:00443/contoso/fleet/_git/app',
    'contoso.visualstudio.com:443/fleet/_git/app',
  ),
  ...leads(TFS, 'tfs.example.com:443/tfs/DefaultCollection/fleet/_git/app'),
  ...leads(GIT, 'git.example.com:443/team/app.git', 'GIT.example.com/team/app'),
  ...nowhere(
    'dev.azure.com:80/contoso/fleet/_git/app',
    'dev.azure.com:8443/contoso/fleet/_git/app',
    'dev.azure.com:4430/contoso/fleet/_git/app',
    'dev.azure.com:/contoso/fleet/_git/app',
    'dev.azure.com:443:80/contoso/fleet/_git/app',
    'dev.azure.com:+443/contoso/fleet/_git/app',
    'dev.azure.com:%34%34%33/contoso/fleet/_git/app',
    'dev.azure.com./contoso/fleet/_git/app',
    'dev.azure.com.:443/contoso/fleet/_git/app',
    'contoso.visualstudio.com./fleet/_git/app',
    'contoso.visualstudio.com:80/fleet/_git/app',
    'tfs.example.com:8080/tfs/DefaultCollection/fleet/_git/app',
    'tfs.example.com./tfs/DefaultCollection/fleet/_git/app',
    'git.example.com:8443/team/app',
    'git.example.com./team/app',
  ),
  // Letters beyond ASCII.
  ...leads(
    'contoso/café/straße',
    'dev.azure.com/contoso/café/_git/straße',
    'dev.azure.com/CONTOSO/CAFÉ/_git/STRAßE',
    'contoso.visualstudio.com/caf%c3%a9/_git/stra%C3%9Fe',
  ),
  ...leads('contoso/café/strasse', 'dev.azure.com/contoso/café/_git/STRASSE'),
  ...leads(
    'contoso/οδοσ/app',
    'dev.azure.com/contoso/οδος/_git/app',
    'dev.azure.com/contoso/οδοσ/_git/app',
    'dev.azure.com/contoso/ΟΔΟΣ/_git/app',
  ),
  ...leads('contoso/kiosk/kit', 'dev.azure.com/contoso/KIOSK/_git/KIT'),
  ...leads('contoso/istanbul/site', 'dev.azure.com/contoso/ISTANBUL/_git/SITE'),
  ...leads('contoso/i\u0307stanbul/site', 'dev.azure.com/contoso/i\u0307stanbul/_git/site'),
  ...leads('contoso/ıstanbul/site', 'dev.azure.com/contoso/ıstanbul/_git/site'),
  ...alike(
    'contoso/café/straße',
    ['dev.azure.com/contoso/café/_git/straẞe', 'contoso/café/straẞe'],
    ['dev.azure.com/contoso/cafe\u0301/_git/straße', 'contoso/cafe\u0301/straße'],
  ),
  ...alike(
    'contoso/kiosk/kit',
    ['dev.azure.com/contoso/\u212aiosk/_git/kit', 'contoso/\u212aiosk/kit'],
    ['dev.azure.com/contoso/kiosk/_git/\u212ait', 'contoso/kiosk/\u212ait'],
  ),
  ...leads('contoso/İstanbul/site', 'dev.azure.com/contoso/İstanbul/_git/site'),
  ...alike(
    APP,
    ['dev.azure.com/contoso/ｆｌｅｅｔ/_git/app', 'contoso/ｆｌｅｅｔ/app'],
    ['dev.azure.com/contoso/ＦＬＥＥＴ/_git/app', 'contoso/ｆｌｅｅｔ/app'],
    ['dev.azure.com/contoso/ﬂeet/_git/app', 'contoso/ﬂeet/app'],
    ['dev.azure.com/contoso/fleet/_git/ᵃpp', 'contoso/fleet/ᵃpp'],
  ),
  ...alike(
    SPACES,
    ['dev.azure.com/contoso/My%C2%A0Project/_git/my.repo', 'contoso/my\u00a0project/my.repo'],
    ['dev.azure.com/contoso/My%20Project/_git/my․repo', 'contoso/my project/my․repo'],
  ),
  ...leads('contoso/fl\u00adeet/app', 'dev.azure.com/contoso/fl\u00adeet/_git/app'),
  ...leads('contoso/fle\u200bet/app', 'dev.azure.com/contoso/fle\u200bet/_git/app'),
  ...leads('contoso/flееt/app', 'dev.azure.com/contoso/flееt/_git/app'), // Cyrillic letters
  ...refused(
    SIGNS,
    ['dev.azure.com/contoso/fl\u200eeet/_git/app', 'contoso/fl\u200eeet/app'],
    ['dev.azure.com/contoso/fleet/_git/\u202eppa', 'contoso/fleet/\u202eppa'],
    ['dev.azure.com/contoso/fleet/_git/app%00', 'contoso/fleet/app\0'],
    ['dev.azure.com/contoso/fleet/_git/app%0d%0aX:%20y', 'contoso/fleet/app\r\nx: y'],
    ['git.example.com/team/app%00', 'git.example.com/team/app\0'],
  ),
  ...nowhere(
    'ｄev.azure.com/contoso/fleet/_git/app',
    'dev。azure.com/contoso/fleet/_git/app',
    'dev.azure.com\u200b/contoso/fleet/_git/app',
    'dev.azure.com/contoso/fleet/＿git/app',
    'dev.azure.com/contoso/fleet/_ｇit/app',
    'contoso.visualstudio.com/ＤefaultCollection/fleet/_git/app',
    'tfs.example.com/ｔfs/DefaultCollection/fleet/_git/app',
    'dev.azure.com/contoso/fleet/_git/_ｏptimized/app',
    'dev.azure.com/contoso/fleet/ｏptimized/_git/app',
  ),
  // Other hosts that carry the name of a known one.
  ...nowhere(
    'dev.azure.com@evil.example/contoso/fleet/_git/app',
    'evil.example@dev.azure.com/contoso/fleet/_git/app',
    'user:password@dev.azure.com/contoso/fleet/_git/app',
    'contoso%40dev.azure.com/contoso/fleet/_git/app',
    'evil-dev.azure.com/contoso/fleet/_git/app',
    'xdev.azure.com/contoso/fleet/_git/app',
    'x.dev.azure.com/contoso/fleet/_git/app',
    'azure.com/contoso/fleet/_git/app',
    'dev.azure.com.evil.example/contoso/fleet/_git/app',
    'dev.azure.com%00.evil.example/contoso/fleet/_git/app',
    'dev.azure.com;evil.example/contoso/fleet/_git/app',
    'dev.azure.com,evil.example/contoso/fleet/_git/app',
    'contoso.visualstudio.com.evil.example/fleet/_git/app',
    'contosovisualstudio.com/fleet/_git/app',
    'a.contoso.visualstudio.com/fleet/_git/app',
    'visualstudio.com/contoso/fleet/_git/app',
    '.visualstudio.com/fleet/_git/app',
    'evil-tfs.example.com/tfs/DefaultCollection/fleet/_git/app',
    'tfs.example.com.evil.example/tfs/DefaultCollection/fleet/_git/app',
    'xgit.example.com/team/app',
    'x/https://dev.azure.com/contoso/fleet/_git/app',
    'x/dev.azure.com/contoso/fleet/_git/app',
    'https://dev.azure.com/contoso/fleet/_git/app',
    'https:/dev.azure.com/contoso/fleet/_git/app',
    'dev.azure.com/https://dev.azure.com/contoso/fleet/_git/app',
    'dev.azure.com/dev.azure.com/contoso/fleet/_git/app',
    'evil.example/dev.azure.com/contoso/fleet/_git/app',
    'contoso.visualstudio.com/contoso/fleet/_git/app',
  ),
  ...leads('git.example.com/dev.azure.com/contoso/fleet/_git/app', 'git.example.com/dev.azure.com/contoso/fleet/_git/app'),
  ...leads('other.example.com/team/app', 'other.example.com/team/app'),
  // Choices of refs, projects left out, and what is neither.
  ...leads(
    APP,
    'dev.azure.com/contoso/fleet/_git/_optimized/app',
    'dev.azure.com/contoso/fleet/_git/_full/app',
    'dev.azure.com/contoso/fleet/_git/_OPTIMIZED/App',
    'dev.azure.com/contoso/fleet/_git/%5Foptimized/app',
    'dev.azure.com/contoso/fleet/optimized/_git/app',
    'dev.azure.com/contoso/fleet/FULL/_git/app',
    'contoso.visualstudio.com/fleet/_git/_optimized/app',
    'contoso.visualstudio.com/fleet/optimized/_git/app',
    'contoso.visualstudio.com/DefaultCollection/fleet/full/_git/_full/app',
  ),
  ...leads(
    DEFAULT,
    'dev.azure.com/contoso/_git/app',
    'dev.azure.com/contoso/_git/_optimized/app',
    'contoso.visualstudio.com/_git/APP',
    'dev.azure.com/contoso/app/_git/app',
  ),
  ...leads('contoso/fleet/fleet', 'dev.azure.com/contoso/_git/fleet', 'dev.azure.com/contoso/fleet/_git/fleet'),
  ...leads(
    'contoso/optimized/app',
    'dev.azure.com/contoso/optimized/_git/app',
    'contoso.visualstudio.com/DefaultCollection/optimized/_git/app',
  ),
  ...nowhere(
    'dev.azure.com/contoso/fleet/_git/_optimized/_full/app',
    'dev.azure.com/contoso/fleet/_git/_other/app',
    'dev.azure.com/contoso/fleet/_git/_optimized',
    'dev.azure.com/contoso/_git/_full',
    'contoso.visualstudio.com/fleet/_git/_optimized',
    'tfs.example.com/tfs/DefaultCollection/fleet/_git/_full',
    'dev.azure.com/contoso/fleet/optimized/optimized/_git/app',
    'dev.azure.com/contoso/fleet/fleet-infra/_git/app',
    'dev.azure.com/contoso/fleet/_git/app/_git/app-infra',
    'dev.azure.com/contoso/fleet/_git',
    'dev.azure.com/contoso/fleet/app',
    'dev.azure.com/_git/app',
  ),
  // DefaultCollection.
  ...leads(
    APP,
    'contoso.visualstudio.com/DefaultCollection/fleet/_git/app',
    'contoso.visualstudio.com/defaultCOLLECTION/Fleet/_git/app',
    'contoso.visualstudio.com/DefaultCollection/fleet/_git/_full/app',
  ),
  ...leads(DEFAULT, 'contoso.visualstudio.com/DefaultCollection/_git/app'),
  ...nowhere(
    'contoso.visualstudio.com/DefaultCollection/DefaultCollection/fleet/_git/app',
    'dev.azure.com/contoso/DefaultCollection/fleet/_git/app',
    'dev.azure.com/DefaultCollection/contoso/fleet/_git/app',
  ),
  // The names of repositories.
  ...leads(INFRA, 'dev.azure.com/contoso/fleet-infra/_git/app', 'contoso.visualstudio.com/Fleet-Infra/_git/app'),
  ...leads('contoso/fleet/app-infra', 'dev.azure.com/contoso/fleet/_git/app-infra'),
  ...leads('contoso/fleet/ap', 'dev.azure.com/contoso/fleet/_git/ap'),
  ...leads('contoso/flee/app', 'dev.azure.com/contoso/flee/_git/app'),
  ...leads('contoso-dev/fleet/app', 'dev.azure.com/contoso-dev/fleet/_git/app', 'contoso-dev.visualstudio.com/fleet/_git/app'),
  ...leads('fabrikam/fleet/app', 'dev.azure.com/fabrikam/fleet/_git/app', 'fabrikam.visualstudio.com/DefaultCollection/fleet/_git/app'),
  ...leads('ssh/fleet/app', 'ssh.visualstudio.com/fleet/_git/app'),
  ...leads('contoso/fleet/app.git', 'dev.azure.com/contoso/fleet/_git/app.git', 'dev.azure.com/contoso/fleet/_git/app%2eGIT'),
  ...leads('contoso/fleet/app;x=1', 'dev.azure.com/contoso/fleet/_git/app;x=1'),
  ...leads('contoso/fleet/*', 'dev.azure.com/contoso/fleet/_git/*', 'dev.azure.com/contoso/fleet/_git/%2a'),
  ...leads('contoso/**/app', 'dev.azure.com/contoso/**/_git/app'),
  ...leads(SPACES, 'dev.azure.com/contoso/My%20Project/_git/My.Repo', 'contoso.visualstudio.com/my%20project/_git/my%2Erepo'),
  ...leads('contoso/my+project/my.repo', 'dev.azure.com/contoso/My+Project/_git/my.repo'),
  ...leads('contoso/my project/a+b', 'dev.azure.com/contoso/My%20Project/_git/a+b', 'dev.azure.com/contoso/My%20Project/_git/a%2Bb'),
  ...leads('contoso/my project/a b', 'dev.azure.com/contoso/My%20Project/_git/a%20b'),
  ...refused(
    ODD,
    ['dev.azure.com/contoso/fleet/_git/app.', 'contoso/fleet/app.'],
    ['dev.azure.com/contoso/fleet/_git/app%20', 'contoso/fleet/app '],
    ['dev.azure.com/contoso/%20fleet/_git/app', 'contoso/ fleet/app'],
    ['dev.azure.com/contoso%20/fleet/_git/app', 'contoso /fleet/app'],
    ['dev.azure.com/contoso/fleet./_git/app', 'contoso/fleet./app'],
    ['dev.azure.com/contoso/_apis/_git/app', 'contoso/_apis/app'],
    ['dev.azure.com/contoso/fleet/_git/_git', 'contoso/fleet/_git'],
    ['vs-ssh.visualstudio.com/fleet/_git/app', 'vs-ssh/fleet/app'],
  ),
  // REST, LFS, and git's own suffix in the wrong place.
  ...nowhere(
    'dev.azure.com/contoso/_apis/git/repositories/app',
    'dev.azure.com/contoso/fleet/_apis/git/repositories/app',
    'dev.azure.com/contoso/fleet/_git/app/info/lfs',
    'dev.azure.com/contoso/fleet/_git/app.git/info/lfs',
    'dev.azure.com/contoso/fleet/_git/app/info/lfs/objects/batch',

    'dev.azure.com/contoso/fleet/_git/app/git-upload-pack',
    'dev.azure.com/contoso/fleet/_git/app/gvfs/config',
  ),
  // The forms of the SSH hosts.
  ssh('ssh.dev.azure.com/v3/contoso/fleet/app', APP, 'dev.azure.com/contoso/fleet/_git/app'),
  ssh('SSH.dev.azure.com/V3/Contoso/%66leet/APP', APP, 'dev.azure.com/Contoso/%66leet/_git/APP'),
  ssh('vs-ssh.visualstudio.com/v3/contoso/fleet/app', APP, 'dev.azure.com/contoso/fleet/_git/app'),
  ssh('VS-SSH.visualstudio.com/v3/contoso/FLEET/app', APP, 'dev.azure.com/contoso/FLEET/_git/app'),
  ssh('ssh.dev.azure.com/v3/contoso/fleet-infra/app', INFRA, 'dev.azure.com/contoso/fleet-infra/_git/app'),
  ssh('ssh.dev.azure.com/v3/contoso/fleet/app.git', 'contoso/fleet/app.git', 'dev.azure.com/contoso/fleet/_git/app.git'),
  ssh('vs-ssh.visualstudio.com/v3/fabrikam/fleet/app', 'fabrikam/fleet/app', 'dev.azure.com/fabrikam/fleet/_git/app'),
  ssh('ssh.dev.azure.com/v3/contoso/My%20Project/my.repo', SPACES, 'dev.azure.com/contoso/My%20Project/_git/my.repo'),
  ...nowhere(
    'ssh.dev.azure.com/v3/contoso/fleet/app/more',
    'ssh.dev.azure.com/v3/contoso/app',
    'ssh.dev.azure.com/v2/contoso/fleet/app',
    'ssh.dev.azure.com/v3/contoso/fleet/_git/app',
    'ssh.dev.azure.com/v3/contoso/../fabrikam/app',
    'ssh.dev.azure.com/v3/contoso/fleet%2fapp/app',
    'ssh.dev.azure.com/ｖ3/contoso/fleet/app',
    'ssh.dev.azure.com/contoso/fleet/_git/app',
    'ssh.dev.azure.com:22/v3/contoso/fleet/app',
    'x.ssh.dev.azure.com/v3/contoso/fleet/app',
    'contoso.vs-ssh.visualstudio.com/v3/contoso/fleet/app',
  ),
  // A server of one's own.
  ...leads(
    TFS,
    'tfs.example.com/tfs/DefaultCollection/fleet/_git/app',
    'TFS.Example.com/TFS/DEFAULTCOLLECTION/Fleet/_git/App',
    'tfs.example.com/tfs/DefaultCollection/fleet/_git/_optimized/app',
    'tfs.example.com/tfs/DefaultCollection/fleet/optimized/_git/app',
  ),
  ...leads('tfs.example.com/tfs/defaultcollection/app/app', 'tfs.example.com/tfs/DefaultCollection/_git/app'),
  ...leads('tfs.example.com/tfs/main/fleet/app', 'tfs.example.com/tfs/Main/fleet/_git/app'),
  ...leads('tfs.example.com/tfs/defaultcollection/fleet-infra/app', 'tfs.example.com/tfs/DefaultCollection/fleet-infra/_git/app'),
  ...leads('tfs.example.com/tfs/defaultcollection/fleet/app.git', 'tfs.example.com/tfs/DefaultCollection/fleet/_git/app.git'),
  ...nowhere(
    'tfs.example.com/tfs/_git/app',
    'tfs.example.com/_git/app',
    'tfs.example.com/tfs/tfs/DefaultCollection/fleet/_git/app',
    'tfs.example.com/tfs/DefaultCollection/fleet/fleet/_git/app',
    'tfs.example.com/DefaultCollection/fleet/_git/app',
    'tfs.example.com/other/DefaultCollection/fleet/_git/app',
  ),
  // Any other host, where the whole path is the repository and case counts.
  ...leads(GIT, 'git.example.com/team/app', 'git.example.com/team/app.git'),
  ...leads('git.example.com/team/app-infra', 'git.example.com/team/app-infra', 'git.example.com/team/app-infra.git'),
  ...leads('git.example.com/team/app/sub', 'git.example.com/team/app/sub'),
  ...leads('git.example.com/team', 'git.example.com/team'),
  ...leads('git.example.com/team/app/info/lfs', 'git.example.com/team/app/info/lfs'),
  ...alike(
    GIT,
    ['git.example.com/Team/app', 'git.example.com/Team/app'],
    ['git.example.com/TEAM/APP', 'git.example.com/TEAM/APP'],
    ['git.example.com/team/app.GIT', 'git.example.com/team/app.GIT'],
    ['git.example.com/ｔeam/app', 'git.example.com/ｔeam/app'],
  ),
  // Queries, and what stands around the suffix.
  ...(
    [
      ['info/refs?service=git-upload-pack&service=git-receive-pack', APP],
      ['info/refs?service=git-upload-pack&x=/../app-infra', APP],
      ['info/refs?x=y&service=git-upload-pack', APP],
      ['info/refs?service=git%2Dupload-pack', APP],
      ['info/refs?&service=git-upload-pack', APP],
      ['info/refs?service=git-upload-pack&', APP],
      ['info/refs?service=git-upload-pack?/../app-infra', APP],
      ['info/refs?service=git-upload-pack;x=y', undefined],
      ['info/refs?SERVICE=git-upload-pack', undefined],
      ['info/refs?service=git-upload-archive', undefined],
      ['info/refs?service=', undefined],
      ['info/refs', undefined],
      ['info/refs/?service=git-upload-pack', undefined],
      ['INFO/refs?service=git-upload-pack', undefined],
      ['info%2frefs?service=git-upload-pack', undefined],
      ['info/ref%73?service=git-upload-pack', undefined],
      ['info/refs%3fservice=git-upload-pack', undefined],
      ['info/refs;x?service=git-upload-pack', undefined],
    ] as const
  ).map(([rest, to]): AddressRow => ({
    at: `dev.azure.com/contoso/fleet/_git/app/${rest}`,
    whole: 'GET',
    ...(to === undefined ? {} : { leads: to, refused: QUERY }),
  })),
  ...(
    [
      ['git-upload-pack?service=git-receive-pack', APP],
      ['git-upload-pack?', APP],
      ['git-upload-pac%6b', undefined],
      ['git-upload-pack/', undefined],
      ['git-upload-archive', undefined],
    ] as const
  ).map(([rest, to]): AddressRow => ({
    at: `dev.azure.com/contoso/fleet/_git/app/${rest}`,
    whole: 'POST',
    ...(to === undefined ? {} : { leads: to, refused: QUERY }),
  })),
];
