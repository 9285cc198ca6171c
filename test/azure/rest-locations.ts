/**
 * How a client of the REST API finds its way: which host has which area (resource areas), which address a call has there (OPTIONS),
 * and who it is (connection data). An SDK asks these first and follows what they say.
 */
import type { RestCall } from './rest-call.js';
import { guidOf } from './rest-catalog.js';

/** Name, GUID and the service of the family whose host has it. Source: RESOURCE_AREA_ID of the files of azure-devops-node-api. */
const AREAS: readonly (readonly [name: string, id: string, service: string])[] = [
  ['git', '4e080c62-fa21-4fbc-8fef-2a10a2b38049', 'dev'],
  ['core', '79134c72-4a58-4b42-976c-04e7115f32bf', 'dev'],
  ['build', '965220d5-5bb9-42cf-8d67-9b146df2a5a4', 'dev'],
  ['policy', 'fb13a388-40dd-4a04-b530-013a739c72ef', 'dev'],
  ['wit', '5264459e-e5e0-4bd8-b118-0985e68a4ec5', 'dev'],
  ['release', 'efc2f575-36ef-48e9-b672-0c6fb4a48ac5', 'vsrm'],
  ['packaging', '7ab4e64e-c4d8-4f50-ae73-5ef2e21642a5', 'feeds'],
  ['npm', '4c83cfc1-f33a-477e-a789-29d38ffca52e', 'pkgs'],
  ['nuget', 'b3be7473-68ea-4a81-bfc7-9530baaa19ad', 'pkgs'],
  ['graph', 'bb1e7ec9-e901-4b68-999a-de7012b920f8', 'vssps'],
  ['account', '0d55247a-1c47-4462-9b1f-5e2125590ee6', 'vssps'],
  ['profile', '8ccfef3d-2b87-4e99-8ccb-66e343d2daa8', 'vssps'],
  ['memberEntitlementManagement', '68ddce18-2501-45f1-a17b-7931a9922690', 'vsaex'],
  ['extensionManagement', '6c2b0933-3600-42ae-bf8b-93d4f7e83594', 'extmgmt'],
];

type Row = readonly [area: string, resource: string, id: string, template: string, version: string];

/** Where the calls are that are played. Source of GUIDs and areas: the same package; templates as the service gives them. */
const LOCATIONS: readonly Row[] = [
  ['Location', 'ConnectionData', '00d9565f-ed9c-4a06-9a50-00e7896ccab4', '_apis/{resource}', '1'],
  ['Location', 'ResourceAreas', 'e81700f7-3be2-46de-8624-2eb35882fcaa', '_apis/{resource}/{areaId}', '1'],
  ['core', 'projects', '603fe2ac-9723-48b9-88ad-09305aa6c6e1', '_apis/{resource}/{*projectId}', '4'],
  ['git', 'repositories', '225f7195-f9c7-4d14-ab28-a83f7ff77e1f', '{project}/_apis/{area}/{resource}/{repositoryId}', '2'],
  ['git', 'refs', '2d874a60-a811-4f62-9c9f-963a6ea0a55b', '{project}/_apis/{area}/repositories/{repositoryId}/{resource}', '2'],
  ['git', 'items', 'fb93c0db-47ed-4a31-8c20-47552878fb44', '{project}/_apis/{area}/repositories/{repositoryId}/{resource}/{*path}', '1'],
  [
    'git',
    'commits',
    'c2570c3b-5b3f-41b8-98bf-5407bfde8d58',
    '{project}/_apis/{area}/repositories/{repositoryId}/{resource}/{commitId}',
    '2',
  ],
  ['git', 'pushes', 'ea98d07b-3c87-4971-8ede-a613694ffb55', '{project}/_apis/{area}/repositories/{repositoryId}/{resource}/{pushId}', '3'],
  [
    'git',
    'pullRequests',
    '9946fd70-0d40-406e-b686-b4744cbbcc37',
    '{project}/_apis/{area}/repositories/{repositoryId}/{resource}/{pullRequestId}',
    '2',
  ],
  ['git', 'pullRequests', '01a46dea-7d46-4d40-bc84-319e7c260d99', '{project}/_apis/{area}/{resource}/{pullRequestId}', '2'],
  [
    'git',
    'pullRequestThreads',
    'ab6e2e5d-a0b7-4153-b64a-a4efe0d49449',
    '{project}/_apis/{area}/repositories/{repositoryId}/pullRequests/{pullRequestId}/threads/{threadId}',
    '1',
  ],
];

/** `OPTIONS _apis[/{area}]`. */
export function answerLocations(call: RestCall): void {
  const area = call.path[1]?.toLowerCase();
  const rows = LOCATIONS.filter(([name]) => area === undefined || name.toLowerCase() === area);
  call.list(
    rows.map(([name, resourceName, id, routeTemplate, resourceVersion]) => ({
      id,
      area: name,
      resourceName,
      routeTemplate,
      resourceVersion: Number(resourceVersion),
      minVersion: '1.0',
      maxVersion: '7.2',
      releasedVersion: '7.1',
    })),
  );
}

/** `_apis/resourceAreas[/{id}]`; on-premises there is one host for all and the list is empty. */
export function answerAreas(call: RestCall): void {
  const wanted = call.path[2]?.toLowerCase();
  if (call.address.kind === 'server') {
    call.json(wanted === undefined ? { count: 0, value: null } : null);
    return;
  }
  const areas = AREAS.map(([name, id, service]) => ({ id, name, locationUrl: call.base(service) }));
  if (wanted === undefined) call.list(areas);
  else call.json(areas.find(({ id }) => id === wanted) ?? null);
}

/** `_apis/connectionData`, with the services when the client asks for them. */
export function answerConnection(call: RestCall, user: string): void {
  const { organization } = call.address;
  const services = call.query.get('connectOptions');
  const person = {
    id: user,
    descriptor: `Microsoft.IdentityModel.Claims.ClaimsIdentity;${user}`,
    subjectDescriptor: `aad.${user}`,
    providerDisplayName: 'Postern Sample',
    isActive: true,
    resourceVersion: 2,
    metaTypeId: 0,
  };
  call.json({
    authenticatedUser: person,
    authorizedUser: person,
    instanceId: guidOf('instance', organization),
    deploymentId: guidOf('deployment'),
    deploymentType: call.address.kind === 'server' ? 'onPremises' : 'hosted',
    locationServiceData: {
      serviceOwner: '00025394-6065-48ca-87d9-7f5672854ef7',
      defaultAccessMappingMoniker: MAPPING,
      lastChangeId: 318,
      lastChangeId64: 318,
      clientCacheFresh: false,
      clientCacheTimeToLive: 3600,
      accessMappings: [
        {
          displayName: 'Public Access Mapping',
          moniker: MAPPING,
          accessPoint: call.base(),
          serviceOwner: guidOf('owner'),
          virtualDirectory: '',
        },
      ],
      ...(services === null || services === '0' || /^none$/i.test(services)
        ? {}
        : {
            serviceDefinitions: definitions(call),
          }),
    },
  });
}

/** `_apis/serviceDefinitions[/LocationService2[/{id}]]`, by which older clients ask for the same. */
export function answerDefinitions(call: RestCall): void {
  const wanted = call.path[3]?.toLowerCase();
  const all = definitions(call);
  if (wanted === undefined) call.list(all);
  else call.json(all.find(({ identifier }) => identifier === wanted) ?? null);
}

const MAPPING = 'PublicAccessMapping';

function definitions(call: RestCall): readonly { readonly identifier: string }[] {
  return AREAS.map(([name, id, service]) => ({
    serviceType: 'LocationService2',
    identifier: id,
    displayName: name,
    relativeToSetting: 'fullyQualified',
    toolId: 'Framework',
    serviceOwner: guidOf('owner', service),
    locationMappings: [{ accessMappingMoniker: MAPPING, location: call.base(service) }],
  }));
}
