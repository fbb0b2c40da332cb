"""What became of shortened results, and what is to be shortened less because of it.

Every form that goes out is noted, and whether somebody came back for what it left out (`uses`). A task sums that up by day
(`counts`), judges it (`judgement` and `horizon`, arithmetic alone) and proposes a policy version; a person, or a setting, adopts it
(`versions`). New conversations follow the version in force (`in_force`), all others the one they began with.

Nothing of a text or a question is kept: names of tools and forms, sizes, and which part was asked for.
"""
