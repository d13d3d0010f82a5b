/**
 * Networks that change their road, as planners ask about them.
 *
 * @module
 */
export { hasMoved, standingOf, takesRoad, wantedRoad } from '../../ipam/moves.ts'
export type { Road, RoadName, Standing } from '../../ipam/records.ts'
