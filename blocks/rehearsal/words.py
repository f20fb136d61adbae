"""The rehearsal world's whole vocabulary of content words: few and short, so that a small tokenizer covers them."""

NAMES = ("Ann", "Ben", "Cal", "Dan", "Eve", "Fay", "Gus", "Ida")
COLORS = ("red", "blue", "pink", "black", "white", "green")
CITIES = ("Rome", "Oslo", "Lima", "Cairo", "Paris", "Delhi")
DAYS = ("today", "tonight", "Sunday", "Monday", "Friday", "Tuesday")
ANIMALS = ("ant", "cat", "dog", "pig", "cow", "hen")
FOODS = ("pea", "egg", "pear", "corn", "rice", "milk")
GOODS = ("corn", "rice", "milk", "salt", "sand", "tea")
RIDES = ("car", "van", "bus", "ship", "bike", "train")
THINGS = ("cup", "hat", "pen", "bag", "key", "map", "box", "cat", "dog", "hen", "pig", "pear")
LIST_WORDS = ("cup", "hat", "pen", "bag", "key", "map", "box", "cat", "dog", "hen", "egg", "red", "sun", "van", "ant", "pig")
BY_SIZE = ("ant", "pea", "egg", "pear", "cat", "dog", "pig", "cow", "car", "van", "bus", "ship")
OPPOSITES = {"hot": "cold", "big": "small", "old": "new", "wet": "dry", "fast": "slow", "up": "down", "day": "night", "high": "low"}
OPPOSITE = OPPOSITES | {right: left for left, right in OPPOSITES.items()}
KINDS = {"animal": ANIMALS, "food": FOODS, "ride": RIDES, "color": COLORS, "city": CITIES}
KIND = {word: kind for kind, words in KINDS.items() for word in words}
SIZED = ("big", "small", "old", "new", "wet", "dry", "red", "blue")
