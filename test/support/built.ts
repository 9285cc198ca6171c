/** Before any test: the program that end-to-end tests run is built from the sources as they are. */
export default async function build(): Promise<void> {
  await import('../../scripts/ready.mjs');
}
