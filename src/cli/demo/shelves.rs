//! The word lists that the demo's catalogue is made of: what stands on which shelf.
//!
//! A new shelf is a new entry of [`SHELVES`]; its first three letters must be new within its
//! department, since they are part of the product ids.

/// A form: its noun, its variants, its lowest and highest price in whole dollars, and the
/// opening of its description.
pub(super) struct Form(
    pub(super) &'static str,
    pub(super) [&'static str; 4],
    pub(super) [i64; 2],
    pub(super) &'static str,
);

/// A sub-category of a department and what stands on it.
pub(super) struct Shelf(
    pub(super) &'static str,
    pub(super) &'static str,
    pub(super) [Form; 5],
);

/// Names of our series: places and birds, so that none can be mistaken for a material.
pub(super) const SERIES: [&str; 20] = [
    "Harbour",
    "Heron",
    "Tarn",
    "Moorland",
    "Kestrel",
    "Cairn",
    "Estuary",
    "Curlew",
    "Northfold",
    "Sandpiper",
    "Wren",
    "Fellside",
    "Saltmarsh",
    "Skerry",
    "Lowland",
    "Ferryman",
    "Westwater",
    "Dunlin",
    "Highmoor",
    "Plover",
];

/// How a description may end, by department.
pub(super) const ENDINGS: [(&str, [&str; 3]); 6] = [
    (
        "Kitchen",
        [
            "made for every day rather than for best",
            "at home on an open shelf",
            "built to be handed down",
        ],
    ),
    (
        "Camping",
        [
            "and packs away smaller than you would think",
            "tested on wet weekends",
            "made to be mended, not replaced",
        ],
    ),
    (
        "Hiking",
        [
            "light enough to forget about",
            "tested on long wet ridges",
            "made to be mended, not replaced",
        ],
    ),
    (
        "Garden",
        [
            "chosen by people who garden",
            "a favourite of ours for years",
            "sent out in plain paper, no plastic",
        ],
    ),
    (
        "Home",
        [
            "made for slow evenings",
            "a favourite of ours for years",
            "and easy to live with",
        ],
    ),
    (
        "Clothing",
        [
            "made to be mended, not replaced",
            "as good on the bus as on the hill",
            "and easy to wear all year",
        ],
    ),
];

/// Everything on sale, a department's shelves next to one another.
#[rustfmt::skip]
pub(super) const SHELVES: [Shelf; 20] = [
    Shelf("Kitchen", "Coffee", [
        Form("Pour-Over Dripper", ["Stoneware", "Glass", "Copper", "Porcelain"], [18, 45], "Brews a clean, bright cup one mug at a time"),
        Form("Hand Grinder", ["Steel-Burr", "Ceramic-Burr", "Walnut", "Travel"], [39, 119], "Grinds evenly from espresso to French press"),
        Form("French Press", ["Three-Cup", "Six-Cup", "Insulated", "Glass"], [28, 75], "Gives a full, round brew with a finely meshed plunger"),
        Form("Kettle", ["Gooseneck", "Enamel", "Copper", "Matte Black"], [45, 129], "Pours a slow, steady stream just where you want it"),
        Form("Coffee Canister", ["Airtight", "Stoneware", "Tin", "Vacuum"], [16, 38], "Keeps a bag of beans fresh to the last spoonful"),
    ]),
    Shelf("Kitchen", "Cookware", [
        Form("Skillet", ["Cast-Iron", "Carbon-Steel", "Stainless", "Copper-Core"], [35, 139], "Sears hot and goes from hob to oven"),
        Form("Dutch Oven", ["Enamelled", "Cast-Iron", "Small", "Family"], [79, 219], "Braises low and slow with heat that holds"),
        Form("Saucepan", ["Stainless", "Copper", "Lidded", "Milk"], [29, 110], "Warms evenly, with a lip that pours without a drip"),
        Form("Chef's Knife", ["Carbon-Steel", "Stainless", "Ash-Handled", "Forged"], [49, 159], "Takes a fine edge and keeps it"),
        Form("Chopping Board", ["Oak", "Beech", "Walnut", "Olive-Wood"], [25, 79], "Kind to blades and steady on the worktop"),
    ]),
    Shelf("Kitchen", "Tableware", [
        Form("Dinner Plate", ["Stoneware", "Speckled", "Porcelain", "Blue-Rimmed"], [14, 32], "Gives supper a generous, quiet frame"),
        Form("Breakfast Bowl", ["Stoneware", "Speckled", "Wide", "Blue-Rimmed"], [11, 26], "Holds porridge, soup or too much ice cream"),
        Form("Mug", ["Stoneware", "Enamel", "Speckled", "Large"], [9, 24], "Sits warm in two hands"),
        Form("Water Jug", ["Glass", "Stoneware", "Enamel", "Ribbed"], [24, 58], "Fills six glasses without dripping on the cloth"),
        Form("Serving Platter", ["Oak", "Stoneware", "Oval", "Porcelain"], [32, 85], "Brings the roast or the whole harvest to the table"),
    ]),
    Shelf("Kitchen", "Baking", [
        Form("Loaf Tin", ["Steel", "Non-Stick", "Large", "Lidded"], [12, 36], "Bakes an even crumb under a crisp crust"),
        Form("Proving Basket", ["Round", "Oval", "Rattan", "Linen-Lined"], [15, 34], "Gives sourdough its shape and its spiral"),
        Form("Rolling Pin", ["Beech", "Marble", "French", "Walnut"], [14, 42], "Rolls pastry thin without sticking"),
        Form("Mixing Bowl", ["Stoneware", "Stainless", "Enamel", "Pouring"], [18, 52], "Stays put on the worktop through a stiff dough"),
        Form("Pie Dish", ["Enamel", "Stoneware", "Deep", "Fluted"], [16, 39], "Crisps the bottom as well as the top"),
    ]),
    Shelf("Camping", "Tents", [
        Form("Dome Tent", ["Two-Person", "Three-Person", "Four-Person", "Lightweight"], [149, 389], "Stands up in five minutes and sheds the wind"),
        Form("Tunnel Tent", ["Three-Person", "Four-Person", "Six-Person", "Family"], [249, 599], "Gives you room to stand and a porch for the boots"),
        Form("Tarp", ["Three-Metre", "Four-Metre", "Ripstop", "Waxed-Canvas"], [45, 139], "Keeps the rain off wherever two trees stand"),
        Form("Bivvy Bag", ["Breathable", "Emergency", "Hooded", "Wide"], [29, 159], "Lets you sleep under the stars and out of the dew"),
        Form("Tent Peg Set", ["Steel", "Aluminium", "Sand", "Titanium"], [9, 39], "Holds fast in soft ground and comes out by hand"),
    ]),
    Shelf("Camping", "Sleeping", [
        Form("Sleeping Bag", ["Down", "Three-Season", "Summer", "Winter"], [69, 329], "Keeps a cold night on the other side of the zip"),
        Form("Sleeping Mat", ["Self-Inflating", "Folding", "Insulated", "Ultralight"], [29, 169], "Smooths out roots and stones"),
        Form("Camp Pillow", ["Inflatable", "Fleece", "Down", "Rolled"], [14, 45], "Saves you from the bundled-up jumper"),
        Form("Bag Liner", ["Silk", "Cotton", "Fleece", "Mummy"], [19, 65], "Adds a few degrees and keeps the bag clean"),
        Form("Hammock", ["Single", "Double", "Netted", "Ripstop"], [35, 129], "Hangs between two trees in a minute"),
    ]),
    Shelf("Camping", "Stoves", [
        Form("Gas Stove", ["Folding", "Two-Burner", "Titanium", "Windproof"], [29, 149], "Boils a litre before the tea leaves are found"),
        Form("Wood Stove", ["Folding", "Stainless", "Titanium", "Twig"], [39, 119], "Cooks supper on a handful of sticks"),
        Form("Camp Pot", ["Titanium", "Aluminium", "Nesting", "Lidded"], [19, 75], "Heats fast and nests around the gas"),
        Form("Camp Cutlery Set", ["Titanium", "Steel", "Folding", "Bamboo"], [9, 29], "Puts a knife, a fork and a spoon in one small roll"),
        Form("Fire Steel", ["Oak-Handled", "Pocket", "Long", "Antler"], [9, 26], "Throws a hot spark in any weather"),
    ]),
    Shelf("Camping", "Lanterns", [
        Form("Head Torch", ["Rechargeable", "Running", "Red-Light", "Compact"], [19, 79], "Leaves both hands free in the dark"),
        Form("Camp Lantern", ["Solar", "Rechargeable", "Hanging", "Collapsible"], [22, 69], "Fills the tent with a warm, even light"),
        Form("Pocket Torch", ["Aluminium", "Rechargeable", "Waterproof", "Brass"], [14, 59], "Throws a long beam from a small body"),
        Form("String Lights", ["Solar", "Battery", "Warm-White", "Ten-Metre"], [16, 39], "Make a camp of any clearing"),
        Form("Candle Lantern", ["Brass", "Steel", "Folding", "Glass"], [18, 49], "Shelters a small flame from the breeze"),
    ]),
    Shelf("Hiking", "Packs", [
        Form("Day Pack", ["Twenty-Litre", "Roll-Top", "Waxed-Canvas", "Ripstop"], [49, 129], "Carries lunch, a jacket and the long way home"),
        Form("Trekking Pack", ["Fifty-Litre", "Sixty-Litre", "Ultralight", "Women's"], [129, 299], "Sets the weight on your hips, where it belongs"),
        Form("Hip Pack", ["Two-Litre", "Ripstop", "Running", "Waxed-Canvas"], [22, 65], "Keeps map, keys and flapjack within reach"),
        Form("Dry Bag", ["Five-Litre", "Ten-Litre", "Twenty-Litre", "Clear"], [9, 32], "Keeps the spare socks dry, whatever the river does"),
        Form("Child Carrier", ["Framed", "Folding", "Sunshade", "Toddler"], [139, 289], "Gives the youngest walker the best view"),
    ]),
    Shelf("Hiking", "Bottles", [
        Form("Water Bottle", ["Insulated", "Steel", "Wide-Mouth", "One-Litre"], [14, 45], "Keeps water cold from the car park to the summit"),
        Form("Flask", ["Half-Litre", "One-Litre", "Enamelled", "Slim"], [22, 55], "Pours hot tea six hours later"),
        Form("Water Filter", ["Squeeze", "Pump", "Straw", "Gravity"], [24, 109], "Makes any clear stream a tap"),
        Form("Hydration Bladder", ["Two-Litre", "Three-Litre", "Insulated", "Wide-Mouth"], [22, 49], "Lets you drink without breaking stride"),
        Form("Trail Cup", ["Enamel", "Titanium", "Folding", "Birch"], [9, 34], "Clips to a strap and is ready at every spring"),
    ]),
    Shelf("Hiking", "Navigation", [
        Form("Compass", ["Baseplate", "Sighting", "Brass", "Mirror"], [16, 79], "Points the way when the battery does not"),
        Form("Map Case", ["Waterproof", "Waxed-Canvas", "Folding", "Roll-Up"], [12, 39], "Keeps the map readable in sideways rain"),
        Form("Trekking Poles", ["Carbon", "Aluminium", "Folding", "Cork-Grip"], [39, 149], "Take the sting out of the way down"),
        Form("Field Binoculars", ["Compact", "Eight-Power", "Ten-Power", "Waterproof"], [59, 289], "Bring the far ridge and the near bird closer"),
        Form("Field Notebook", ["Waterproof", "Pocket", "Linen-Bound", "Dotted"], [7, 19], "Takes pencil in the rain"),
    ]),
    Shelf("Garden", "Tools", [
        Form("Hand Trowel", ["Ash-Handled", "Stainless", "Copper", "Narrow"], [14, 39], "Slips into heavy soil and fits the palm"),
        Form("Border Spade", ["Ash-Handled", "Stainless", "Treaded", "Compact"], [39, 89], "Digs deep between plants without a bruise"),
        Form("Secateurs", ["Bypass", "Anvil", "Forged", "Small-Hand"], [22, 79], "Cut clean, so that the stem heals"),
        Form("Watering Can", ["Galvanised", "Copper", "Long-Reach", "Five-Litre"], [24, 85], "Rains softly on seedlings"),
        Form("Garden Gloves", ["Leather", "Cotton", "Bramble-Proof", "Lined"], [11, 34], "Let you feel the soil and not the thorns"),
    ]),
    Shelf("Garden", "Planters", [
        Form("Plant Pot", ["Terracotta", "Glazed", "Stoneware", "Concrete"], [9, 48], "Breathes, drains and weathers well"),
        Form("Window Box", ["Cedar", "Galvanised", "Terracotta", "Self-Watering"], [24, 69], "Puts herbs within reach of the stove"),
        Form("Hanging Basket", ["Willow", "Wire", "Seagrass", "Deep"], [15, 42], "Spills flowers over its edge all summer"),
        Form("Raised Bed", ["Cedar", "Larch", "Galvanised", "Stackable"], [69, 219], "Warms early and spares your back"),
        Form("Plant Stand", ["Oak", "Steel", "Tiered", "Folding"], [29, 98], "Lifts a favourite into the light"),
    ]),
    Shelf("Garden", "Seeds", [
        Form("Tomato Seeds", ["Cherry", "Plum", "Heirloom", "Bush"], [2, 5], "Crop from July until the first frost"),
        Form("Salad Seeds", ["Mixed", "Winter", "Cut-and-Come-Again", "Peppery"], [2, 5], "Fill a bowl four weeks from sowing"),
        Form("Wildflower Seeds", ["Meadow", "Shade", "Pollinator", "Annual"], [3, 9], "Feed the bees from May to October"),
        Form("Herb Seeds", ["Kitchen", "Perennial", "Windowsill", "Mediterranean"], [2, 6], "Grow supper's last touch by the back door"),
        Form("Seed Tin", ["Sage-Green", "Cream", "Monthly", "Compact"], [16, 34], "Sorts a year of sowing and keeps the mice out"),
    ]),
    Shelf("Home", "Bedding", [
        Form("Duvet Cover", ["Linen", "Cotton", "Flannel", "Striped"], [59, 189], "Feels slept-in from the first night"),
        Form("Wool Blanket", ["Herringbone", "Checked", "Lambswool", "Striped"], [69, 179], "Lies heavy and warm on bed or sofa"),
        Form("Pillowcase Pair", ["Linen", "Cotton", "Flannel", "Striped"], [19, 59], "Turn cool side up at any hour"),
        Form("Quilt", ["Cotton", "Patchwork", "Linen", "Reversible"], [89, 239], "Makes a bed in one movement"),
        Form("Feather Pillow", ["Soft", "Medium", "Firm", "Down-Topped"], [29, 89], "Plumps back up every morning"),
    ]),
    Shelf("Home", "Candles", [
        Form("Pillar Candle", ["Beeswax", "Ivory", "Tall", "Ribbed"], [9, 29], "Burns tall, straight and without smoke"),
        Form("Scented Candle", ["Cedar", "Fig", "Sea-Salt", "Woodsmoke"], [16, 42], "Fills a room without shouting"),
        Form("Taper Candles", ["Beeswax", "Sage-Green", "Ivory", "Ochre"], [8, 24], "Give supper for two a little ceremony"),
        Form("Candlestick", ["Brass", "Iron", "Oak", "Stoneware"], [14, 49], "Stands steady on an uneven table"),
        Form("Tealight Holder", ["Glass", "Brass", "Stoneware", "Pierced"], [6, 22], "Throws a soft pattern on the wall"),
    ]),
    Shelf("Home", "Storage", [
        Form("Storage Basket", ["Willow", "Seagrass", "Lidded", "Handled"], [19, 64], "Swallows toys, logs or the knitting"),
        Form("Peg Rail", ["Oak", "Beech", "Five-Peg", "Painted"], [22, 69], "Gets the coats off the chairs"),
        Form("Wooden Crate", ["Pine", "Slatted", "Stacking", "Painted"], [15, 45], "Carries apples in and records after"),
        Form("Wall Shelf", ["Oak", "Walnut", "Bracketed", "Narrow"], [29, 119], "Holds a row of books without a sag"),
        Form("Laundry Hamper", ["Willow", "Canvas", "Bamboo", "Two-Part"], [39, 98], "Hides a week of washing"),
    ]),
    Shelf("Clothing", "Jackets", [
        Form("Rain Jacket", ["Lightweight", "Three-Layer", "Hooded", "Packable"], [89, 289], "Keeps the rain out and lets the climb out too"),
        Form("Down Jacket", ["Hooded", "Packable", "Light", "Expedition"], [119, 349], "Weighs little and shuts out the frost"),
        Form("Fleece Jacket", ["Full-Zip", "Half-Zip", "Recycled", "Hooded"], [49, 129], "Warms you on the way up and dries on the way down"),
        Form("Wax Jacket", ["Short", "Long", "Quilted", "Hooded"], [129, 279], "Turns rain and brambles alike"),
        Form("Windproof Gilet", ["Quilted", "Fleece", "Running", "Down"], [45, 139], "Keeps the core warm and the arms free"),
    ]),
    Shelf("Clothing", "Knitwear", [
        Form("Jumper", ["Lambswool", "Cable-Knit", "Merino", "Fisherman's"], [59, 159], "Keeps its shape through winters of wear"),
        Form("Beanie", ["Merino", "Ribbed", "Lambswool", "Bobble"], [16, 39], "Covers the ears when the wind turns north"),
        Form("Scarf", ["Lambswool", "Checked", "Merino", "Ribbed"], [24, 69], "Goes twice around with some to spare"),
        Form("Gloves", ["Merino", "Fingerless", "Lined", "Ribbed"], [17, 49], "Warm the hands and still find the keys"),
        Form("Cardigan", ["Merino", "Shawl-Collar", "Cable-Knit", "Lambswool"], [69, 169], "Goes on over anything"),
    ]),
    Shelf("Clothing", "Socks", [
        Form("Hiking Socks", ["Merino", "Cushioned", "Two-Layer", "Lightweight"], [12, 28], "Keep blisters for other people"),
        Form("Boot Socks", ["Lambswool", "Long", "Ribbed", "Heavy"], [14, 32], "Fill a boot with warmth"),
        Form("Running Socks", ["Merino", "Ankle", "Cushioned", "Breathable"], [9, 22], "Stay put mile after mile"),
        Form("House Socks", ["Lambswool", "Fleece-Lined", "Cable-Knit", "Grippy"], [14, 34], "Make a stone floor bearable in January"),
        Form("Everyday Socks", ["Cotton", "Striped", "Bamboo", "Ribbed"], [7, 16], "Go with every shoe by the door"),
    ]),
];
