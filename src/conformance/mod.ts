/**
 * A conformance suite for any CNI plugin.
 *
 * A rule is data and a check; the check is given a throw-away node, calls the
 * plugins as a runtime does, and compares whole dumps. It knows nothing of our
 * own plugin: its reading of the specification is a second opinion.
 *
 * @module
 */
export * from './model.ts'
export * from './report.ts'
export { type NetworkList, parseNetworkList } from './runtime.ts'
export { chooseRules, runSuite, type SuiteOptions, type SuiteResult, tellSilent } from './suite.ts'
