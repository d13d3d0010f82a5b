/**
 * Imported first by tests that are about the disk: what they make is on one.
 *
 * @module
 */
const disk = process.env['TRIVIUM_TEST_DISK']
if (disk !== undefined) process.env['TMPDIR'] = disk
