"""Names for worded iGSM problems: worlds of four layers, four categories a layer, five names a category.

Owners contain items of the next layer (a street has buildings, a building has rooms, ...). Every name and every
category is unique over all worlds and none holds an apostrophe, so that ``X's Y`` splits in one way only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path


@dataclass(frozen=True)
class World:
    """Layers from the largest owners to the smallest items; each maps a category to its names.

    ``layer_names`` are what the layers themselves are called, where a vocabulary names them: a total may then be called
    by the layer in place of the category, as in the authors' data.
    """

    name: str
    layers: tuple[Mapping[str, Sequence[str]], ...]
    layer_names: tuple[str, ...] = ()

    @cached_property
    def place(self) -> Mapping[str, tuple[int, str, int]]:
        """Where a name stands: (layer, category, index within the category)."""
        return {
            name: (depth, category, index)
            for depth, layer in enumerate(self.layers)
            for category, names in layer.items()
            for index, name in enumerate(names)
        }

    @cached_property
    def category_layer(self) -> Mapping[str, int]:
        """Layer of each category name."""
        return {category: depth for depth, layer in enumerate(self.layers) for category in layer}


def read_worlds(path: str | Path) -> tuple[World, ...]:
    """The worlds of a JSON file ``{world: {layer: {category: [names]}}}``, the form of the authors' vocabulary.

    Raises ``ValueError`` that names the file, the place in it and the reason; names must differ within a world.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not a JSON vocabulary ({error})") from None
    if not isinstance(content, dict) or not content:
        raise ValueError(f"{path}: a vocabulary is an object of worlds, not {type(content).__name__}")
    return tuple(_read_world(f"{path}, world {name!r}", name, layers) for name, layers in content.items())


def _read_world(where: str, name: str, layers: object) -> World:
    if not isinstance(layers, dict) or not 2 <= len(layers) <= 4:
        raise ValueError(f"{where}: give an object of two to four layers")
    seen: set[str] = set()
    for layer, categories in layers.items():
        if not isinstance(categories, dict) or not categories:
            raise ValueError(f"{where}, layer {layer!r}: give an object of categories")
        for category, names in categories.items():
            if not isinstance(names, list) or not names or not all(isinstance(item, str) and item for item in names):
                raise ValueError(f"{where}, category {category!r}: give a list of names")
            twice = seen.intersection(names)
            if twice or len(set(names)) < len(names):
                raise ValueError(f"{where}, category {category!r}: {(sorted(twice) or names)[0]!r} stands twice")
            seen.update(names)
    return World(name, tuple(layers.values()), tuple(layers))


def _layer(text: str) -> dict[str, tuple[str, ...]]:
    """Read ``Category: Name, Name, ...`` lines."""
    rows = (line.split(":") for line in text.strip().splitlines())
    return {category.strip(): tuple(name.strip() for name in names.split(",")) for category, names in rows}


HARBOR = World(
    "harbor",
    (
        _layer("""
            Coastal Town: Saltmere, Gull Point, Anchor Bay, Driftwood Cove, Pearl Landing
            River Town: Willow Ford, Millbrook, Otter Crossing, Reedbank, Stonebridge
            Hill Town: Highfield, Larkspur Ridge, Cedar Summit, Windy Knoll, Foxglove Rise
            Island Town: Palm Haven, Coral Cay, Turtle Isle, Lagoon End, Monsoon Rock
        """),
        _layer("""
            Workshop: Boat Yard, Sail Loft, Rope Walk, Net House, Cooper Shed
            Market Hall: Fish Hall, Spice Hall, Flower Hall, Cloth Hall, Tea Hall
            Warehouse: North Depot, Grain Store, Timber Store, Cold Store, Bonded Store
            Inn: Lantern Inn, Compass Inn, Mermaid Inn, Captain Inn, Harbor Inn
        """),
        _layer("""
            Crate: Oak Crate, Pine Crate, Steel Crate, Wicker Crate, Cedar Crate
            Barrel: Red Barrel, Blue Barrel, Tall Barrel, Squat Barrel, Ringed Barrel
            Chest: Iron Chest, Painted Chest, Camphor Chest, Carved Chest, Leather Chest
            Basket: Reed Basket, Lidded Basket, Round Basket, Shallow Basket, Willow Basket
        """),
        _layer("""
            Fruit: Mango, Lime, Apricot, Quince, Fig
            Spice: Clove, Nutmeg, Saffron Thread, Cardamom Pod, Peppercorn
            Tool: Chisel, Mallet, Marlinspike, Caulking Iron, Sail Needle
            Trinket: Glass Bead, Copper Coin, Shell Button, Silver Bell, Jade Ring
        """),
    ),
)

ORCHESTRA = World(
    "orchestra",
    (
        _layer("""
            Concert Hall: Aurora Hall, Beacon Hall, Cascade Hall, Meridian Hall, Solstice Hall
            Theatre: Garden Theatre, Lyric Theatre, Marble Theatre, Orpheum Theatre, Velvet Theatre
            Conservatory: Ashwood School, Birchwood School, Elmwood School, Oakwood School, Rosewood School
            Festival: Spring Festival, Summer Festival, Autumn Festival, Winter Festival, Midnight Festival
        """),
        _layer("""
            Ensemble: String Quartet, Wind Quintet, Brass Octet, Piano Trio, Percussion Group
            Choir: Chamber Choir, Gospel Choir, Youth Choir, Opera Choir, Folk Choir
            Dance Company: Ballet Company, Tango Company, Flamenco Company, Tap Company, Waltz Company
            Band: Jazz Band, Marching Band, Swing Band, Bluegrass Band, Steel Band
        """),
        _layer("""
            String Case: Violin Case, Viola Case, Cello Case, Harp Case, Lute Case
            Wind Case: Flute Case, Oboe Case, Clarinet Case, Bassoon Case, Piccolo Case
            Brass Case: Trumpet Case, Horn Case, Trombone Case, Tuba Case, Cornet Case
            Score Box: Sonata Box, Fugue Box, March Box, Nocturne Box, Overture Box
        """),
        _layer("""
            Accessory: Rosin Cake, Tuning Fork, Chin Rest, Metronome, Music Stand
            Spare Part: Bridge Piece, Tuning Peg, Valve Spring, Key Pad, Reed Cap
            Cleaning Kit: Polish Cloth, Swab Stick, Oil Bottle, Brush Set, Dust Cover
            Keepsake: Ticket Stub, Program Leaflet, Signed Photo, Ribbon Badge, Dried Rose
        """),
    ),
)

OBSERVATORY = World(
    "observatory",
    (
        _layer("""
            Research Station: Polar Station, Desert Station, Summit Station, Valley Station, Orbital Station
            Space Center: Apollo Center, Gemini Center, Mercury Center, Voyager Center, Pioneer Center
            Observatory: Alpine Observatory, Canyon Observatory, Mesa Observatory, Glacier Observatory, Reef Observatory
            Academy: Copernicus Academy, Galileo Academy, Kepler Academy, Hypatia Academy, Herschel Academy
        """),
        _layer("""
            Laboratory: Optics Lab, Plasma Lab, Robotics Lab, Geology Lab, Cryogenics Lab
            Dome: East Dome, West Dome, Central Dome, Twin Dome, Mirror Dome
            Library: Star Library, Map Library, Chart Library, Data Library, Archive Library
            Hangar: Shuttle Hangar, Rover Hangar, Probe Hangar, Drone Hangar, Balloon Hangar
        """),
        _layer("""
            Instrument: Refractor, Spectrograph, Photometer, Radio Dish, Infrared Camera
            Rover: Dust Rover, Ice Rover, Lava Rover, Crater Rover, Dune Rover
            Cabinet: Lens Cabinet, Mirror Cabinet, Filter Cabinet, Cable Cabinet, Sample Cabinet
            Console: Pilot Console, Signal Console, Weather Console, Orbit Console, Safety Console
        """),
        _layer("""
            Component: Gear Wheel, Copper Coil, Sensor Chip, Ball Bearing, Circuit Board
            Crystal: Quartz Crystal, Ruby Crystal, Sapphire Crystal, Garnet Crystal, Topaz Crystal
            Fastener: Hex Bolt, Wing Nut, Flat Washer, Wood Screw, Snap Ring
            Document: Star Chart, Log Book, Field Note, Blueprint Sheet, Test Report
        """),
    ),
)

FOREST = World(
    "forest",
    (
        _layer("""
            Nature Reserve: Amberwood Reserve, Bluebell Reserve, Fernhill Reserve, Mistvale Reserve, Thornfield Reserve
            National Park: Bear Creek Park, Eagle Peak Park, Granite Falls Park, Silver Lake Park, Sunset Mesa Park
            Botanic Garden: Azalea Garden, Camellia Garden, Jasmine Garden, Magnolia Garden, Wisteria Garden
            Wildlife Refuge: Badger Refuge, Heron Refuge, Lynx Refuge, Marten Refuge, Stork Refuge
        """),
        _layer("""
            Grove: Aspen Grove, Beech Grove, Hazel Grove, Maple Grove, Spruce Grove
            Meadow: Clover Meadow, Daisy Meadow, Poppy Meadow, Thistle Meadow, Yarrow Meadow
            Pond: Frog Pond, Lily Pond, Newt Pond, Turtle Pond, Willow Pond
            Trail: Canyon Trail, Cliff Trail, Ravine Trail, Ridge Trail, Waterfall Trail
        """),
        _layer("""
            Bird: Blue Jay, Kingfisher, Nuthatch, Owl, Woodpecker
            Mammal: Chipmunk, Hedgehog, Red Squirrel, Shrew, Vole
            Insect: Beetle, Cricket, Dragonfly, Ladybug, Moth
            Shrub: Bilberry Shrub, Elder Shrub, Gorse Shrub, Heather Shrub, Juniper Shrub
        """),
        _layer("""
            Marking: Black Stripe, Golden Patch, Gray Spot, Green Band, White Ring
            Seed: Acorn, Beechnut, Maple Key, Pine Nut, Sunflower Seed
            Nest Item: Down Feather, Dry Twig, Moss Tuft, Spider Silk, Straw Stem
            Parasite: Feather Mite, Flea, Gall Wasp, Louse, Tick
        """),
    ),
)

WORLDS = (HARBOR, ORCHESTRA, OBSERVATORY, FOREST)
