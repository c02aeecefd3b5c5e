extension Key {
  private static let ofGroups: [ConsumerType] = [.chat, .broadcast, .view]
  private static let onRoutes = [KeyPlace.webSocketRoute, .preset]
  private static let word = KeyValue.choice(of: ReceiveAction.Word.self)
  private static let action = KeyValue.either([.mapping(.receiveAction), word])
  private static let deliver = KeyValue.named(.mapping(.delivery))

  /// The options of a WebSocket route about single messages.
  static let messages = [
    Key(
      "connect", onRoutes, .mapping(.greeting), needs: ["consumer"], of: ofGroups,
      home: "under a websocket route",
      "`{send: [...]}`: what each client is told before anything else. See [What clients send](groups.md#what-clients-send)."
    ),
    Key(
      "receive", onRoutes, .mapping(.receive), needs: ["consumer"], of: ofGroups,
      standard: "all messages are the consumer's", home: "under a websocket route",
      "What Sluice does by itself with messages of clients. See [What clients send](groups.md#what-clients-send)."
    ),
    Key(
      "deliver", onRoutes, deliver, needs: ["consumer"], of: ofGroups,
      home: "under a websocket route, or in events of an http route",
      "Event type → who gets it, and how. See [Who gets an event](groups.md#who-gets-an-event)."),
  ]

  /// The keys within them.
  static let receiving = [
    Key(
      "send", [.greeting], .list(.json), required: [.greeting], standard: "required",
      "The frames, in their order: JSON with places such as `\"{channel}\"`."),
    Key(
      "by", [.receive], .word,
      "The member of a message that tells its kind: `type`, or `action.name` for one within another."),
    Key("kinds", [.receive], .named(action), "Kind → what becomes of the message."),
    Key(
      "else", [.receive], action, standard: "`publish`; with the consumer `view`, `ask`",
      """
      What becomes of every other message, also of bytes and of what is no JSON object: `error` tells the client the kinds that there \
      are, `drop` does nothing, `publish` is what `chat` and `broadcast` do without `receive`, and `ask` asks the view.
      """),
    Key("reply", [.receiveAction], .json, "A frame for the sender alone: JSON with places."),
    Key(
      "event", [.receiveAction], .named(.json),
      "An event for a group: its `type`, and its fields with places."),
    Key(
      "to", [.receiveAction], .choice(["all", "others"]), standard: "`all`",
      "`others`: the sender does not get the event."),
    Key(
      "group", [.receiveAction], .word, standard: "the first group of the session",
      "The group of the event, by its name or a pattern: `room_{frame.room}`, `room_*`. The session has to be in it."
    ),
    Key(
      "ephemeral", [.receiveAction], .truth, standard: "`false`", "`true`: no history keeps the event."),
    Key(
      "to", [.delivery], .either([.only("others"), .mapping(.recipient)]), standard: "everybody",
      """
      `others`: not the session that has sent the event, nor those whose addresses stand in its field `except`. `{user: \"{owner_id}\"}`: \
      the sessions of this user alone.
      """),
    Key(
      "text", [.delivery], .text,
      "The frame as text with `{field}` places, which is not JSON: `\"{text}\"`."),
    Key(
      "close", [.delivery], .either([.integer(from: 1000, to: 4999), .mapping(.closing)]),
      "Closes who gets the event, behind it: a code, or `{code, reason}`."),
    Key(
      "user", [.recipient], .word, required: [.recipient], standard: "required",
      "A field of the event with the name or number of the user: `\"{data.owner_id}\"`."),
    Key(
      "code", [.closing], .integer(from: 1000, to: 4999), standard: "`1000`", home: "under shutdown",
      "1000, or 3000 to 4999."),
    Key("reason", [.closing], .text, "What the close frame says, at most 123 bytes."),
    Key(
      "deliver", [.eventStream], deliver, "As for WebSocket [routes](#routes). With `close` the stream ends."),
  ]
}
