"""Discern inside threatexchange and Hasher-Matcher-Actioner: a signal type, an index, an exchange.

`threatexchange config extensions add pipeline.threatexchange_extension` makes both of them known to
the command line of threatexchange.
"""

from threatexchange.extensions.manifest import ThreatExchangeExtensionManifest

from pipeline.threatexchange_extension.exchange import DiscernExchange
from pipeline.threatexchange_extension.signal_type import DiscernVideoSignal

TX_MANIFEST = ThreatExchangeExtensionManifest(
    signal_types=(DiscernVideoSignal,), apis=(DiscernExchange,)
)
