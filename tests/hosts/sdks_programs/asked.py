"""What the programs of this folder are given, and how they answer: tests/hosts/sdks starts them."""

import asyncio
import json
import os
import sys

DESK, TOKEN, MODEL = os.environ["DESK_URL"], os.environ["AGENT_TOKEN"], os.environ["MODEL_URL"]


def answer(look_up):
    """`look_up(order, context)` for each line of standard input; prints what each gave."""

    async def all_of_them():
        for line in sys.stdin:
            asked = json.loads(line)
            print(json.dumps(str(await look_up(asked["order"], asked["context"]))), flush=True)

    asyncio.run(all_of_them())
