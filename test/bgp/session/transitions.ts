/**
 * Expected transitions, read against RFC 4271 section 8.2.2. A line is a state, where
 * the event leads, and what comes out in order: `1:OPEN` is sent on connection 1,
 * `1:6/2 …` is a NOTIFICATION of that code and subcode with its data, `1:abort` throws
 * away what waits, `>idle` is a change of state, `note` a line for a log.
 *
 * `Idle` is the wait after a failure, `Stopped` the one of the administrator.
 */
export const TRANSITIONS = `
1 ManualStart
  Stopped     -> connect      1:connect >connect
  Idle        -> idle
  Connect     -> connect
  Active      -> active
  OpenSent    -> open-sent
  OpenConfirm -> open-confirm
  Established -> established
2 ManualStop
  Stopped     -> idle
  Idle        -> idle
  Connect     -> idle         1:abort >idle
  Active      -> idle         >idle
  OpenSent    -> idle         1:6/2 02676f 1:close >idle
  OpenConfirm -> idle         1:6/2 02676f 1:close >idle
  Established -> idle         1:6/2 02676f 1:close down >idle
restart by the administrator
  Stopped     -> idle
  Idle        -> connect      3:connect >connect
  Connect     -> connect      1:abort note >idle 3:connect >connect
  Active      -> connect      3:connect >connect
  OpenSent    -> idle         1:6/4 02676f 1:close note >idle
  OpenConfirm -> idle         1:6/4 02676f 1:close note >idle
  Established -> idle         1:6/4 02676f 1:close down >idle
stop without a word
  Stopped     -> idle
  Idle        -> idle
  Connect     -> idle         1:abort >idle
  Active      -> idle         >idle
  OpenSent    -> idle         1:close >idle
  OpenConfirm -> idle         1:close >idle
  Established -> idle         1:close down >idle
9 ConnectRetryTimer_Expires, 13 IdleHoldTimer_Expires
  Stopped     -> idle
  Idle        -> connect      3:connect >connect
  Connect     -> connect      1:abort note 3:connect
  Active      -> connect      3:connect >connect
  OpenSent    -> open-sent
  OpenConfirm -> open-confirm
  Established -> established
10 HoldTimer_Expires
  Stopped     -> idle
  Idle        -> connect      3:connect >connect
  Connect     -> connect      1:abort note 3:connect
  Active      -> connect      3:connect >connect
  OpenSent    -> idle         1:4/0 1:close note >idle
  OpenConfirm -> idle         1:4/0 1:close note >idle
  Established -> idle         1:4/0 1:close down >idle
11 KeepaliveTimer_Expires
  Stopped     -> idle
  Idle        -> connect      3:connect >connect
  Connect     -> connect      1:abort note 3:connect
  Active      -> connect      3:connect >connect
  OpenSent    -> open-sent
  OpenConfirm -> open-confirm 1:KEEPALIVE
  Established -> established  1:KEEPALIVE
29 SendHoldTimer_Expires
  Stopped     -> idle
  Idle        -> connect      3:connect >connect
  Connect     -> connect      1:abort note 3:connect
  Active      -> connect      3:connect >connect
  OpenSent    -> idle         1:8/0 1:abort note >idle
  OpenConfirm -> idle         1:8/0 1:abort note >idle
  Established -> idle         1:8/0 1:abort down >idle
16 Tcp_CR_Acked
  Stopped     -> idle
  Idle        -> idle
  Connect     -> open-sent    1:OPEN >open-sent
  Active      -> active
  OpenSent    -> open-sent
  OpenConfirm -> open-confirm
  Established -> established
17 TcpConnectionConfirmed
  Stopped     -> idle         2:6/5 2:close note
  Idle        -> idle         2:6/5 2:close note
  Connect     -> open-sent    2:OPEN >open-sent
  Active      -> open-sent    2:OPEN >open-sent
  OpenSent    -> open-sent    2:OPEN
  OpenConfirm -> open-confirm
  Established -> established  2:6/7 2:close note
18 TcpConnectionFails
  Stopped     -> idle
  Idle        -> idle
  Connect     -> active       note >active
  Active      -> active
  OpenSent    -> active       note >active
  OpenConfirm -> idle         note >idle
  Established -> idle         down >idle
19 BGPOpen
  Stopped     -> idle
  Idle        -> idle
  Connect     -> connect
  Active      -> active
  OpenSent    -> open-confirm 1:KEEPALIVE >open-confirm
  OpenConfirm -> idle         1:5/2 01 1:close note >idle
  Established -> idle         1:5/3 01 1:close down >idle
21 BGPHeaderErr
  Stopped     -> idle
  Idle        -> idle
  Connect     -> connect
  Active      -> active
  OpenSent    -> idle         1:1/1 1:close note >idle
  OpenConfirm -> idle         1:1/1 1:close note >idle
  Established -> idle         1:1/1 1:close down >idle
22 BGPOpenMsgErr
  Stopped     -> idle
  Idle        -> idle
  Connect     -> connect
  Active      -> active
  OpenSent    -> idle         1:2/3 1:close note >idle
  OpenConfirm -> idle         1:5/2 01 1:close note >idle
  Established -> idle         1:5/3 01 1:close down >idle
24 NotifMsgVerErr
  Stopped     -> idle
  Idle        -> idle
  Connect     -> connect
  Active      -> active
  OpenSent    -> idle         1:close note >idle
  OpenConfirm -> idle         1:close note >idle
  Established -> idle         1:close down >idle
25 NotifMsg
  Stopped     -> idle
  Idle        -> idle
  Connect     -> connect
  Active      -> active
  OpenSent    -> idle         1:close note >idle
  OpenConfirm -> idle         1:close note >idle
  Established -> idle         1:close down >idle
26 KeepAliveMsg
  Stopped     -> idle
  Idle        -> idle
  Connect     -> connect
  Active      -> active
  OpenSent    -> idle         1:5/1 04 1:close note >idle
  OpenConfirm -> established  >established up
  Established -> established
27 UpdateMsg
  Stopped     -> idle
  Idle        -> idle
  Connect     -> connect
  Active      -> active
  OpenSent    -> idle         1:5/1 02 1:close note >idle
  OpenConfirm -> idle         1:5/2 02 1:close note >idle
  Established -> established  end-of-rib(ipv4)
28 UpdateMsgErr
  Stopped     -> idle
  Idle        -> idle
  Connect     -> connect
  Active      -> active
  OpenSent    -> idle         1:5/1 02 1:close note >idle
  OpenConfirm -> idle         1:5/2 02 1:close note >idle
  Established -> idle         1:3/1 1:close down >idle
ROUTE-REFRESH
  Stopped     -> idle
  Idle        -> idle
  Connect     -> connect
  Active      -> active
  OpenSent    -> idle         1:5/1 05 1:close note >idle
  OpenConfirm -> idle         1:5/2 05 1:close note >idle
  Established -> established  refresh(ask ipv4)
BFD down
  Stopped     -> idle
  Idle        -> idle
  Connect     -> connect
  Active      -> active
  OpenSent    -> open-sent
  OpenConfirm -> open-confirm
  Established -> idle         1:6/10 1:close down >idle
too many prefixes
  Stopped     -> idle
  Idle        -> idle
  Connect     -> connect
  Active      -> active
  OpenSent    -> open-sent
  OpenConfirm -> open-confirm
  Established -> idle         1:6/1 000201000003e8 1:close down >idle
ask for refresh
  Stopped     -> idle
  Idle        -> idle
  Connect     -> connect
  Active      -> active
  OpenSent    -> open-sent
  OpenConfirm -> open-confirm
  Established -> established  1:ROUTE-REFRESH
`
