// Which parts of two files mean the same, wherever they stand in the file.

extension ReceivedEvent: Equatable {
  package static func == (one: ReceivedEvent, other: ReceivedEvent) -> Bool {
    one.type == other.type && one.fields == other.fields && one.group == other.group
      && one.isToOthers == other.isToOthers && one.isEphemeral == other.isEphemeral
  }
}

extension ChannelNamePattern: Equatable {
  package static func == (one: ChannelNamePattern, other: ChannelNamePattern) -> Bool {
    one.text == other.text
  }
}

extension ChannelLayerConfiguration: Equatable {
  package static func == (one: ChannelLayerConfiguration, other: ChannelLayerConfiguration) -> Bool {
    one.alias == other.alias && one.backend == other.backend
  }
}
