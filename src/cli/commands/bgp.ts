/**
 * `trivium bgp`: the nodes' BGP speakers.
 *
 * @module
 */
import { Command } from 'commander'
import { bgpSettingsCommands } from './bgp-settings.ts'
import { bgpSpeakerCommands } from './bgp-speaker.ts'

export function bgpCommand(): Command {
  const command = new Command('bgp').description(
    'BGP of the nodes: settings, routers of the fabric, what is spoken',
  )
  for (const each of [...bgpSettingsCommands(), ...bgpSpeakerCommands()]) command.addCommand(each)
  return command
}
